<?php
// The entry point of every extension of Plesk's: it has checked the session and hands over to a controller.
$application = new pm_Application();
$application->run();
