<?php
// Shows the table of sites. pm_ApiCli::callSbin runs the program of this name in the extension's sbin as root, so only
// the administrator gets here.
class IndexController extends pm_Controller_Action
{
    protected $_accessLevel = 'admin';

    public function indexAction()
    {
        $this->_helper->viewRenderer->setNoRender();
        $answer = pm_ApiCli::callSbin('wpmend-glance', [], pm_ApiCli::RESULT_FULL);
        $this->getResponse()->appendBody($answer['code'] === 0 ? $answer['stdout'] : '<p>The service of wpmend does not answer.</p>');
    }
}
