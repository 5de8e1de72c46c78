"""What subclasses write of their own parameters alone."""

from skal.utils.inheriting import Inheriting


def test_constraints_are_inherited_in_the_order_of_the_bases():
    class Base(Inheriting):
        _parameter_constraints = {"lr": [float], "depth": [int]}

    class Left(Base):
        _parameter_constraints = {"width": [int]}

    class Right(Base):
        _parameter_constraints = {"lr": [float, None], "width": [str]}

    class Both(Left, Right):
        _parameter_constraints = {"rate": [float]}

    assert Both._parameter_constraints == {
        "lr": [float, None],
        "depth": [int],
        "width": [int],
        "rate": [float],
    }
    assert Left._parameter_constraints == {"lr": [float], "depth": [int], "width": [int]}


def test_constraints_of_other_bases_count():
    class Mixin:
        _parameter_constraints = {"copy": [bool]}

    class Child(Mixin, Inheriting):
        pass

    assert Child._parameter_constraints == {"copy": [bool]}


def test_a_line_in_braces_that_names_nothing_inherited_stays():
    class Base(Inheriting):
        """A base.

        lr : float
            Learning rate.
        """

    class Child(Base):
        """Its report has the line

        {accuracy}
        {lr}
        {lr, accuracy}
        """

    assert Child.__doc__.splitlines()[2:] == [
        "{accuracy}",
        "lr : float",
        "    Learning rate.",
        "{lr, accuracy}",
    ]
