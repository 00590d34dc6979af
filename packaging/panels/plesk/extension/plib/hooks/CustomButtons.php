<?php
// A place in the administrator's menu.
class Modules_Wpmend_CustomButtons extends pm_Hook_CustomButtons
{
    public function getButtons()
    {
        return [[
            'place' => self::PLACE_ADMIN_TOOLS_AND_SETTINGS,
            'title' => 'wpmend',
            'description' => 'The state of the WordPress sites',
            'link' => pm_Context::getBaseUrl(),
        ]];
    }
}
