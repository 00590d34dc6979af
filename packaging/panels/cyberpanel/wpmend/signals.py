"""Tells wpmend that a website has come, changed or gone.

A handler that answers anything but a response of status 200 stops CyberPanel's
action, so each answers that at once, whatever becomes of wpmend.
"""
import subprocess

from django.dispatch import receiver
from django.http import HttpResponse
from websiteFunctions import signals

AFTER = [
    signals.postWebsiteCreation, signals.postDomainCreation,
    signals.postWebsiteDeletion, signals.postDomainDeletion,
    signals.postWebsiteSuspension, signals.postWebsiteModification,
    signals.postChangePHP, signals.postSaveConfigsToFile,
]


@receiver(AFTER)
def refresh(sender, **kwargs):
    try:
        subprocess.Popen(['/usr/bin/timeout', '10', '/usr/bin/wpmend', 'sites', '--refresh'],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         close_fds=True, start_new_session=True)
    except OSError:
        pass  # wpmend finds it within a minute
    return HttpResponse(status=200)
