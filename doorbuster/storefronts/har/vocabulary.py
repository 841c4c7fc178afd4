"""The words by which addresses and operations of shops tell what a request does."""

from __future__ import annotations

BASKET = {
    "cart", "carts", "basket", "baskets", "bag", "bags", "trolley", "minicart", "quote",
    "warenkorb", "panier", "carrito", "carrello", "winkelwagen",
}  # fmt: skip
ORDER = {
    "checkout", "checkouts", "order", "orders", "payment", "payments", "pay", "purchase", "buy",
    "placeorder", "kasse", "commande", "bestellung", "pedido", "afrekenen", "cassa",
}  # fmt: skip
PLACES = {
    "order", "orders", "place", "complete", "payment", "payments", "pay", "purchase", "submit",
    "checkout",
}  # fmt: skip
CHECKOUT_PAGE = {"checkout", "checkouts", "kasse", "commande", "afrekenen", "cassa"}
CATEGORY = {
    "category", "categories", "collection", "collections", "department", "departments", "c", "shop",
    "cat", "kategorie", "categorie", "rayon",
}  # fmt: skip
PRODUCT = {
    "product", "products", "p", "item", "items", "dp", "catalogue", "catalog", "produkt", "produit",
    "producto",
}  # fmt: skip
SEARCH = {"search", "suche", "recherche", "buscar", "zoeken", "find", "catalogsearch"}
SUGGEST = {"suggest", "suggestions", "autocomplete", "typeahead", "popular", "history"}
BESIDE_PRODUCT = {
    "reviews", "review", "recommendations", "related", "questions", "images", "availability",
    "stock", "ratings", "price", "prices", "variants", "wishlist", "compare",
}  # fmt: skip
THANKS = {
    "thanks", "thank", "thankyou", "success", "confirmation", "confirmed", "complete", "completed",
    "receipt", "received", "danke", "merci", "gracias",
}  # fmt: skip
TRACKING = {
    "track", "tracking", "tracker", "collect", "collector", "beacon", "analytics", "telemetry",
    "pixel", "metrics", "stats", "statistics", "rum", "log", "logs", "logger", "event", "events",
    "impression", "impressions", "csp", "ping", "consent", "survey", "feedback", "newsletter",
    "chat", "gtm", "monitoring",
}  # fmt: skip
EVENT_FIELDS = {"event", "events", "eventname", "event_name", "eventtype", "event_type", "en"}
UNDO = {
    "remove", "delete", "clear", "empty", "coupon", "coupons", "voucher", "vouchers", "promo",
    "promotion", "promotions", "discount", "gift", "wishlist", "compare", "estimate", "totals",
    "login", "signin", "signup", "register", "subscribe", "merge", "note",
}  # fmt: skip
GOODS = {"item", "items", "line", "lines", "product", "products", "variant", "entry", "entries", "articles"}
ABOUT_DELIVERY = {
    "address", "addresses", "shipping", "billing", "delivery", "customer", "email", "state",
    "status", "session", "sessions", "method", "methods", "intent", "information", "contact",
    "contacts", "emails",
}  # fmt: skip
FILLERS = {
    "add", "to", "in", "into", "the", "my", "your", "view", "show", "get", "post", "shopping",
    "page", "index", "one", "step", "guest", "customer", "customers", "mine", "user", "anonymous",
    "item", "items", "line", "lines", "entries", "create", "new", "do", "ajax", "api", "summary",
    "details", "update", "set", "current", "active", "product", "products", "variant", "simple",
    "web", "store", "onepage", "multishipping",
}  # fmt: skip
ROUTING = {
    "route", "controller", "action", "wc-ajax", "do", "cmd", "op", "task", "dispatch", "cl", "fnc",
    "operation",
}  # fmt: skip
TERMS = (
    "q", "query", "search", "term", "s", "keyword", "keywords", "text", "search_query",
    "searchterm", "phrase",
)  # fmt: skip
SKUS = (
    "sku", "product", "product_id", "productid", "id", "item", "item_id", "itemid", "variant",
    "variant_id", "variantid", "product_variant_id", "productvariantid", "merchandiseid", "article",
    "add-to-cart", "slug", "id_product", "selected_product", "offer_id",
)  # fmt: skip
CATEGORIES = (
    "category", "cat", "category_id", "categoryid", "collection", "collection_id", "collectionslug",
    "categoryslug", "id_category", "cid", "department",
)  # fmt: skip
CATEGORY_IDS = (*CATEGORIES, "path", "cpath", "id")  # where the address says that it is a category
CHANGING_WORDS = {
    "add", "create", "set", "update", "remove", "delete", "place", "submit", "complete", "apply",
    "login", "register", "transition", "pay", "checkout",
}  # fmt: skip


def every_word() -> frozenset[str]:
    """All words of this module."""
    sets = (value for name, value in globals().items() if name.isupper() and isinstance(value, set))
    return frozenset[str]().union(*sets)
