"""The reference data that the generator writes."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from firstclick.core.errors import SettingsError
from firstclick_generator import SEEDS, Product, User, read_rows
from firstclick_generator.catalogue import CATEGORIES
from firstclick_generator.seeds import write_seeds

USERS = read_rows(SEEDS / "users.csv", User)
PRODUCTS = read_rows(SEEDS / "products.csv", Product)


@pytest.mark.parametrize("name", ["users.csv", "products.csv"])
def test_the_committed_seeds_are_what_the_command_writes(
    name: str, tmp_path: Path
) -> None:
    write_seeds(tmp_path / "new")
    assert (tmp_path / "new" / name).read_bytes() == (SEEDS / name).read_bytes()


def test_there_are_2000_users_of_different_ids_and_addresses() -> None:
    assert len(USERS) == 2000
    assert len({user.user_id for user in USERS}) == 2000
    assert len({user.email for user in USERS}) == 2000


def test_genders_are_male_female_and_a_few_others() -> None:
    counts = {
        gender: sum(user.gender == gender for user in USERS)
        for gender in {user.gender for user in USERS}
    }
    assert counts.keys() == {"Female", "Male", "Other"}
    assert 0 < counts["Other"] < 120
    assert min(counts["Female"], counts["Male"]) > 800


def test_users_are_grown_up_and_registered_on_real_days() -> None:
    for user in USERS:
        assert re.fullmatch(r"(19|20)\d\d-\d\d-\d\d", user.birth_day)
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", user.registration_date)
        assert int(user.birth_day[:4]) + 10 < int(user.registration_date[:4])


def test_there_are_500_products_in_all_categories() -> None:
    assert len({product.product_id for product in PRODUCTS}) == 500
    assert {product.category for product in PRODUCTS} == CATEGORIES.keys()
    assert len({product.product_name for product in PRODUCTS}) == 500


def test_prices_have_two_decimals_and_commission_rates_at_most_three() -> None:
    for product in PRODUCTS:
        assert re.fullmatch(r"\d+\.\d\d", product.price)
        assert Decimal(product.price) > 0
        assert re.fullmatch(r"0\.\d{1,3}", product.commission_rate)
        rate = Decimal(product.commission_rate)
        assert Decimal("0.02") <= rate <= Decimal("0.15")


def test_a_missing_file_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"users\.csv.*firstclick init"):
        read_rows(tmp_path / "users.csv", User)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("product_id,product_name\nP1,Lamp\n")
    with pytest.raises(SettingsError, match="category is missing"):
        read_rows(tmp_path / "products.csv", Product)


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id\n")
    with pytest.raises(SettingsError, match="is empty"):
        read_rows(tmp_path / "users.csv", User)
