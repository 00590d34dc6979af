# wpmend: a Django application of CyberPanel's that tells wpmend of websites that come, change or go.
default_app_config = 'wpmend.apps.WpmendConfig'
