"""What `up` says of a deployment that failed, of all that dbt printed."""

from firstclick.deploy import complaint

BEGUN = ["22:24:03  Model checkouts begun\n"]
FAILED = [
    "22:24:04  Encountered an error:\n",
    "Database Error\n",
    "  division by zero\n",
    "  CONTEXT:  SQL function\n",
]


def test_it_names_the_model_that_was_computed() -> None:
    assert complaint(BEGUN + FAILED) == "checkouts: Database Error division by zero"


def test_it_names_none_once_all_are_computed() -> None:
    lines = [*BEGUN, "22:24:04  Models take their places\n", *FAILED]
    assert complaint(lines) == "Database Error division by zero"


def test_a_model_that_does_not_compile_names_itself() -> None:
    lines = ["22:24:04    Compilation Error in model x (models/x.sql)\n", "    why\n"]
    assert complaint(lines) == "Compilation Error in model x (models/x.sql) why"


def test_it_is_else_the_last_words() -> None:
    assert complaint(["22:24:04  Killed\n", "\n"]) == "Killed"
    assert complaint([]) == "no reason given"
