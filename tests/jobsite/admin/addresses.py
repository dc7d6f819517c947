"""The pages of every model of the admin, and which addresses of them fail."""

import pytest
from django.contrib import admin
from django.urls import reverse

SITE = admin.site
MODELS = sorted(SITE._registry, key=lambda model: model._meta.label)
of_each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)


def address(model, page, *args):
    """Where a page of this model is."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def failed(client, urls):
    """Those of these addresses that are a failure of the server."""
    return [(url[:120], status) for url in urls if (status := client.get(url).status_code) >= 500]
