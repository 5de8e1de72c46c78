"""Texts of parameters are taken from base classes and other sources by name."""

import pytest

from skal.utils.docstrings import inherits_doc


class Base:
    """One line.

    Parameters
    ----------
    lr : float
        Learning rate.

        It has a second paragraph.
    low, high : int
        Bounds.

    Attributes
    ----------
    net_ : object
    """


def other():
    """Return nothing.

    Parameters
    ----------
    lr : int
        Of the other.
    """


def test_entries_of_the_bases_and_the_own_ones_keep_their_order():
    class Middle(Base):
        pass

    @inherits_doc()
    class Child(Middle):
        """Another line, with {braces} and {"key": 1}.

        Parameters
        ----------
        depth : int
        {lr}
        {low, high}

        Attributes
        ----------
        {net_}
        """

    assert Child.__doc__.splitlines() == [
        'Another line, with {braces} and {"key": 1}.',
        "",
        "Parameters",
        "----------",
        "depth : int",
        "lr : float",
        "    Learning rate.",
        "",
        "    It has a second paragraph.",
        "low, high : int",
        "    Bounds.",
        "",
        "Attributes",
        "----------",
        "net_ : object",
    ]


def test_a_source_comes_before_the_bases():
    @inherits_doc(other)
    class Child(Base):
        """
        {lr,
        net_}
        """

    assert Child.__doc__ == "lr : int\n    Of the other.\nnet_ : object"


def test_a_name_that_none_documents_is_refused():
    with pytest.raises(LookupError, match="the docstring of Child takes 'momentum' from others"):

        @inherits_doc()
        class Child(Base):
            """
            {lr, momentum}
            """
