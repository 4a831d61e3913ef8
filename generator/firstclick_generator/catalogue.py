"""The shop's assortment: words for product names, with prices and demand."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Category:
    """One category of products.

    ``articles`` maps to the typical price in the shop's currency. ``commission_rates``
    is the range of a share of the price. ``demand`` is the weight of the category's
    purchases among all categories.
    """

    brands: tuple[str, ...]
    styles: tuple[str, ...]
    articles: dict[str, float]
    commission_rates: tuple[float, float]
    demand: float


CATEGORIES = {
    "Electronics": Category(
        ("Voltano", "Nordwave", "Lumetric", "Kitano"),
        ("Compact", "Wireless", "Portable", "Studio", "Pro", "Everyday"),
        {
            "Headphones": 119,
            "Speaker": 89,
            "Webcam": 69,
            "Keyboard": 79,
            "Monitor": 269,
            "Earbuds": 59,
        },
        (0.02, 0.05),
        1.5,
    ),
    "Fashion": Category(
        ("Marlowe", "Atelier Sud", "Fjordknit", "Ombra"),
        ("Linen", "Merino", "Slim", "Oversized", "Striped", "Classic"),
        {
            "Shirt": 49,
            "Pullover": 69,
            "Jacket": 139,
            "Trousers": 75,
            "Scarf": 29,
            "Dress": 89,
        },
        (0.06, 0.12),
        1.9,
    ),
    "Beauty": Category(
        ("Rosmarin", "Belvoir", "Aquacel", "Purewell"),
        ("Hydrating", "Vitamin C", "Gentle", "Sensitive", "Rose", "Mineral"),
        {
            "Serum": 32,
            "Face Cream": 28,
            "Cleanser": 14,
            "Sunscreen": 19,
            "Lip Balm": 6,
            "Hair Mask": 17,
        },
        (0.08, 0.15),
        1.4,
    ),
    "Home": Category(
        ("Hearthside", "Oakline", "Casa Verde", "Lumi"),
        ("Rustic", "Nordic", "Handmade", "Vintage", "Minimal", "Large"),
        {
            "Table Lamp": 64,
            "Bedding Set": 85,
            "Side Table": 149,
            "Vase": 35,
            "Rug": 179,
            "Wall Clock": 42,
        },
        (0.05, 0.1),
        1.1,
    ),
    "Kitchen": Category(
        ("Copperpot", "Kanzan", "Brewster", "Ironleaf"),
        ("Cast Iron", "Stainless", "Enamelled", "Copper", "Family", "Stovetop"),
        {
            "Frying Pan": 59,
            "Kettle": 45,
            "Stockpot": 79,
            "Casserole": 95,
            "Teapot": 34,
            "Wok": 49,
        },
        (0.04, 0.09),
        1.0,
    ),
    "Sports": Category(
        ("Altiplano", "Swiftstep", "Corewerk", "Tidal"),
        ("Trail", "Lightweight", "Waterproof", "Training", "Summer", "Winter"),
        {
            "Running Shoes": 119,
            "Shorts": 35,
            "Backpack": 89,
            "Water Bottle": 22,
            "Gloves": 27,
            "Jersey": 49,
        },
        (0.04, 0.08),
        0.9,
    ),
    "Books": Category(
        ("Harbour Press", "Lindqvist", "Old Mill", "Paper Lantern"),
        ("Illustrated", "Pocket", "Little", "Complete", "Annotated", "Modern"),
        {
            "Cookbook": 27,
            "Atlas": 39,
            "Fairy Tales": 18,
            "World History": 32,
            "Gardening Guide": 22,
            "Poems": 12,
        },
        (0.03, 0.07),
        0.8,
    ),
    "Toys": Category(
        ("Brightblock", "Wobbly", "Tinker & Co", "Little Fox"),
        ("Wooden", "Magnetic", "Musical", "Giant", "Travel", "Build-It"),
        {
            "Train Set": 54,
            "Puzzle": 19,
            "Robot": 45,
            "Dinosaur": 24,
            "Board Game": 32,
            "Dollhouse": 88,
        },
        (0.05, 0.1),
        0.7,
    ),
    "Grocery": Category(
        ("Greenfield", "Monte Alba", "Daily Grain", "Honeywood"),
        ("Organic", "Fair Trade", "Single Origin", "Artisan", "Premium", "Classic"),
        {
            "Coffee Beans": 14,
            "Olive Oil": 12,
            "Almonds": 8,
            "Chocolate": 4,
            "Honey": 7,
            "Green Tea": 6,
        },
        (0.02, 0.04),
        1.2,
    ),
    "Pets": Category(
        ("Pawsome", "Whiskerly", "Barkley", "Featherby"),
        ("Cosy", "Reflective", "Deluxe", "Outdoor", "Washable", "Small"),
        {
            "Dog Bed": 59,
            "Cat Tree": 84,
            "Leash": 19,
            "Collar": 14,
            "Blanket": 24,
            "Carrier": 49,
        },
        (0.05, 0.11),
        0.5,
    ),
}
