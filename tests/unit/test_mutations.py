"""Every mutation still applies to the code."""

import pytest

from firstclick.core.project import PROJECT
from mutations.edits import EDITS, Edit


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.wrong)
def test_the_text_that_an_edit_replaces_is_there_once(edit: Edit) -> None:
    text = (PROJECT / edit.file).read_text()
    assert text.count(edit.before) == 1
    assert edit.after != edit.before
