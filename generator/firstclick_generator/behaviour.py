"""The figures that make the shop's visitors differ, and so the dashboard interesting.

Weights are relative to one another. Shares and probabilities are from 0 to 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PURCHASE_SHARE = 0.2
"""The share of events that are purchases: one for every four clicks."""

APP_CUSTOMERS = 0.26
"""The share of users who buy through an app, which reports no clicks."""

APP_PURCHASES = 0.28
"""The share of purchases that never have a click before them."""

FAITHFUL = 0.3
"""The share of the clicking users who always come by their usual source."""

USUAL_SOURCE = 0.75
"""How often the other users come by their usual source."""

ARRIVALS = 0.55
"""The share of clicks that begin a visit; the others continue one."""

ON_SITE = 0.35
"""The share of continuing clicks that are within the shop; the others are on ads."""

ON_THE_MOVE = 0.2
"""The share of clicks from a mobile network's address."""


@dataclass(frozen=True, slots=True)
class Source:
    """How many visitors a source brings, and how well they buy."""

    visitors: float
    """Weight among the sources."""
    conversion: float
    """The probability that a click fills a basket."""
    dearer: float
    """The probability that a customer takes the more expensive of two products."""
    lands_on_product: float
    """The probability that a visit begins on a product's page."""


NOT_ADVERTISED = "Unknown"
"""The source of clicks that come from no advertisement."""

SOURCES = {
    "Google": Source(25, 0.34, 0.4, 0.8),
    "Facebook": Source(21, 0.2, 0.25, 0.75),
    "Tiktok": Source(17, 0.11, 0.0, 0.9),
    "Youtube": Source(10, 0.16, 0.5, 0.7),
    "Twitter": Source(6, 0.1, 0.3, 0.65),
    "Gmail": Source(6, 0.4, 0.9, 0.55),
    NOT_ADVERTISED: Source(15, 0.28, 0.45, 0.25),
}


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """How often a payment method is chosen, how often it fails, and why, by weight."""

    share: float
    failures: float
    """The probability that a payment fails."""
    reasons: Mapping[str, float]


_CARD_FAILURES = {
    "insufficient funds": 8,
    "card expired": 4,
    "wrong security code": 4,
    "declined by the bank": 3,
    "suspected fraud": 1,
}
_WALLET_FAILURES = {
    "insufficient funds": 4,
    "sign-in cancelled": 4,
    "session timed out": 3,
    "account restricted": 1,
}

PAYMENT_METHODS = {
    "Visa": PaymentMethod(30, 0.05, _CARD_FAILURES),
    "MasterCard": PaymentMethod(22, 0.07, _CARD_FAILURES),
    "Paypal": PaymentMethod(18, 0.03, _WALLET_FAILURES),
    "Stripe": PaymentMethod(12, 0.04, _CARD_FAILURES),
    "Payment on Delivery": PaymentMethod(8, 0.02, {"address not found": 1}),
    "Alipay": PaymentMethod(6, 0.09, _WALLET_FAILURES),
    "Skrill": PaymentMethod(4, 0.15, _WALLET_FAILURES),
}

QUANTITIES = {1: 70, 2: 19, 3: 7, 4: 3, 6: 1}
"""Weights by the number of pieces."""
DISCOUNTS = {0.0: 62, 0.05: 12, 0.1: 13, 0.15: 6, 0.2: 5, 0.5: 2}
"""Weights by the discount, a share of the price."""
SHIPPING_COSTS = {0.0: 35, 2.99: 20, 4.95: 30, 7.5: 10, 14.9: 5}
"""Weights by the cost, in the shop's currency."""
