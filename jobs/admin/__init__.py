"""The Django admin for operators. It contains no rules: every button calls a verb of the lifecycle."""

from django.contrib import admin

from jobs.admin import audit, bots, events, jobs, kinds  # noqa: F401  registers the pages

# The links at the top of each page replace the sidebar, which leaves the full width for content.
admin.site.enable_nav_sidebar = False
admin.site.site_header = "Jobsite"
admin.site.index_title = "Home"
