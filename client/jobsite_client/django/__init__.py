"""Run the tasks of Django as jobs of Jobsite: `django.tasks` of Django 6, and the package `django-tasks` before it.

Put `jobsite_client.django` into INSTALLED_APPS, and `jobsite_client.django.backend.JobsiteBackend` into TASKS.
"""
