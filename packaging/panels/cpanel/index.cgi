#!/bin/sh
# WHM runs this as root for whom AppConfig lets in (wpmend.conf), so the service gives all sites.
exec /usr/bin/wpmend panel cgi
