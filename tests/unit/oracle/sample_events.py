"""A correct event of each topic, which tests vary."""

CLICK = {
    "click_id": "c",
    "user_id": "u",
    "click_time": "2026-11-23T18:04:05.123Z",
    "click_at": "Product",
    "source": "Google",
    "ip": "::1",
}
PURCHASE = {
    "purchase_id": "o",
    "user_id": "u",
    "product_id": "p",
    "quantity": 2,
    "discount": 0.05,
    "shipping_cost": 7.5,
    "total_cost": 1,
    "payment_method": "Visa",
    "payment_status": "success",
    "description": "none",
    "purchase_time": "2026-11-23T18:04:05.123Z",
}
