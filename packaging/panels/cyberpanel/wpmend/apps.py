from django.apps import AppConfig


class WpmendConfig(AppConfig):
    name = 'wpmend'

    def ready(self):
        from . import signals  # noqa: F401  (connects the handlers)
