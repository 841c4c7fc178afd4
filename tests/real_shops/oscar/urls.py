"""Pages of the shop, its REST interface, and the read-only view of its ledger."""

from __future__ import annotations

import cancelling  # noqa: F401  listens from the start
from django.apps import apps
from django.urls import include, path
from ledger import mail, orders, stock

urlpatterns = [
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/", include("oscarapi.urls")),
    path("ledger/orders/", orders),
    path("ledger/stock/", stock),
    path("ledger/mail/<str:number>/", mail),
    path("", include(apps.get_app_config("oscar").urls[0])),
]
