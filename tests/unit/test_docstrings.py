"""What docstrings say of parameters, in three styles, and what is left of them."""

import pytest

from onward.errors import BadInput
from onward.programs.docstrings import split
from onward.programs.tools import tool

GOOGLE = """Find orders.

    Newest first: at most 100.

    Args:
        customer (str, optional): The customer, as it stands
            in the ledger: C-1.

        limit: How many.

            At most 100.
        **more: Other filters.

    Returns:
        The orders.

    Note:
        Cancelled ones are left out.
    """

NUMPY = """
    Find orders.

    Parameters
    ----------
    customer : str
        The customer, as it stands
        in the ledger: C-1.
    limit, offset : int, optional
        How many.

        At most 100.

    Returns
    -------
    list
        The orders.
    """

REST = """Find orders.

    :param str customer: The customer, as it stands
        in the ledger: C-1.
    :type customer: str
    :param limit: How many.
    :returns: The orders.
    :raises KeyError: if there is no such customer
    """


def test_google_style() -> None:
    rest, told = split(GOOGLE)
    assert told == {
        "customer": "The customer, as it stands in the ledger: C-1.",
        "limit": "How many.\n\nAt most 100.",
        "more": "Other filters.",
    }
    assert rest == (
        "Find orders.\n\nNewest first: at most 100.\n\nReturns:\n    The orders.\n\n"
        "Note:\n    Cancelled ones are left out."
    )


def test_numpy_style() -> None:
    rest, told = split(NUMPY)
    assert told == {
        "customer": "The customer, as it stands in the ledger: C-1.",
        "limit": "How many.\n\nAt most 100.",
        "offset": "How many.\n\nAt most 100.",
    }
    assert rest == "Find orders.\n\nReturns\n-------\nlist\n    The orders."


def test_rest_style() -> None:
    rest, told = split(REST)
    assert told == {"customer": "The customer, as it stands in the ledger: C-1.", "limit": "How many."}
    assert rest == "Find orders.\n\n:returns: The orders.\n:raises KeyError: if there is no such customer"


@pytest.mark.parametrize("header", ["Args", "Arguments", "Params", "Parameters", "Keyword Args", "Other Parameters"])
def test_a_section_has_many_names(header: str) -> None:
    assert split(f"Do it.\n\n{header}:\n    order: Which.") == ("Do it.", {"order": "Which."})
    assert split(f"Do it.\n\n{header}\n-----\norder\n    Which.") == ("Do it.", {"order": "Which."})


@pytest.mark.parametrize(
    "text",
    [
        "Do it.",
        "Do it: Args: are many.",
        "Do it.\n\nArgs:",
        "Do it.\n\nArgs:\nnone are needed",
        "Do it.\n\nParams:\n    These are taken from the order, as they are.",
        "Do it.\n\nParameters\n\nare not used.",
        "Do it.\n\nExample::\n\n    order: 1\n    args: 2",
        "Takes :param and gives :type back.",
    ],
)
def test_what_is_no_section_stays(text: str) -> None:
    assert split(text) == (text, {})


def test_sections_at_the_end_and_one_after_another() -> None:
    text = (
        "Do it.\n\nParameters\n----------\na : int\n    One.\n\nOther Parameters\n----------------\nb : int\n    Two."
    )
    assert split(text) == ("Do it.", {"a": "One.", "b": "Two."})


def test_the_schema_has_them_and_the_description_does_not() -> None:
    @tool(effect="read")
    def find(customer: str, limit: int = 3) -> list[str]:
        """Find orders.

        Args:
            customer: Whose.
            limit: How many.
            gone: No parameter any more.
        """
        return []

    assert find.spec.description == "Find orders."
    shown = find.spec.parameters["properties"]
    assert (shown["customer"]["description"], shown["limit"]["description"]) == ("Whose.", "How many.")
    assert set(shown) == {"customer", "limit"}


def test_parameters_alone_are_no_description() -> None:
    def find(customer: str) -> None:
        """
        Args:
            customer: Whose.
        """

    with pytest.raises(BadInput, match="tool find: it has no docstring"):
        tool(find)
