"""The operators' door: the Django admin. It holds no rules; every button calls a verb."""

from django.contrib import admin

from jobs.admin import bots, events, jobs, kinds  # noqa: F401  registers the pages

# The places at the top of each page take the sidebar's part, and all the width is left for what matters.
admin.site.enable_nav_sidebar = False
admin.site.site_header = "Jobsite"
admin.site.index_title = "Home"
