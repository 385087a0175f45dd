r"""The functions of cmath in as many digits as the decimal context has.

Doubles hold 16 digits, and e^40/2 and (e^40-1)/2 agree in 17. answers.py evaluates with cmath first
and then, to be sure, with this file. It knows the same functions by the same names, of numbers that
mix with integers and fractions. It refuses floats: what came from one has no more digits.

    >>> with decimal.localcontext(decimal.Context(prec=40)):
    ...     print((exp(40) / 2 - (exp(40) - 1) / 2).real)
    0.5000000000000000000000
"""

import decimal
import functools
from decimal import Decimal, getcontext
from fractions import Fraction

GUARD = 12  # digits that rounding may have spoiled
ZERO = Decimal(0)


class Number:
    """A complex number of two decimals."""

    __slots__ = ("imag", "real")

    def __init__(self, real: Decimal, imag: Decimal = ZERO):
        self.real, self.imag = real, imag

    def __add__(self, other):
        other = number(other)
        return Number(total(self.real, other.real), total(self.imag, other.imag))

    def __neg__(self):
        return Number(-self.real, -self.imag)

    def __sub__(self, other):
        return self + -number(other)

    def __rsub__(self, other):
        return number(other) + -self

    def __mul__(self, other):
        other = number(other)
        if not self.imag and not other.imag:
            return Number(self.real * other.real)
        return Number(
            total(self.real * other.real, -self.imag * other.imag),
            total(self.real * other.imag, self.imag * other.real),
        )

    def __truediv__(self, other):
        other = number(other)
        if not other.imag:
            return Number(self.real / other.real, self.imag / other.real)
        square = other.real**2 + other.imag**2
        return self * Number(other.real / square, -other.imag / square)

    def __rtruediv__(self, other):
        return number(other) / self

    def __abs__(self):
        return (self.real**2 + self.imag**2).sqrt() if self.imag else abs(self.real)

    def __eq__(self, other):
        other = number(other)
        return (self.real, self.imag) == (other.real, other.imag)

    def __complex__(self):
        return complex(float(self.real), float(self.imag))

    __radd__, __rmul__, __hash__ = __add__, __mul__, None


def number(value) -> Number:
    """An integer, a fraction or a Number as a Number."""
    if isinstance(value, Number):
        return value
    if isinstance(value, (int, Fraction)):
        return Number(Decimal(value.numerator) / Decimal(value.denominator))
    raise TypeError("a float has no more digits")


def total(a: Decimal, b: Decimal) -> Decimal:
    """a + b, and 0 where all digits but those that rounding may have spoiled cancel."""
    value = a + b
    if a and b and value:
        lost = max(a.adjusted(), b.adjusted()) - value.adjusted()
        return ZERO if lost > getcontext().prec - GUARD else value
    return value


# ---- Real functions, in fixed point: integers that count units of 2^-bits ------------------------


def fixed_point() -> int:
    """The bits of fixed point that hold the digits of the context."""
    return int((getcontext().prec + GUARD) * 3.33)


def series(x: Decimal, alternating: bool, factorials: bool, first: int) -> Decimal:
    """The sum of x^k / k!, or of x^k / k, over k = first, first + 2, ...; for x near 0."""
    bits = fixed_point()
    unit = 1 << bits
    x = int(x * unit)
    square = x * x >> bits
    power, sum_, k = (x if first else unit), 0, first
    while power:
        sum_ += power if factorials or not k else power // k
        power = power * square >> bits
        power = -power if alternating else power
        power = power // ((k + 1) * (k + 2)) if factorials else power
        k += 2
        if power == -1:  # what is left of a negative number that is shifted for ever
            break
    return Decimal(sum_) / unit


@functools.lru_cache(maxsize=64)
def half_pi(digits: int) -> Decimal:
    """Machin's formula."""
    with decimal.localcontext(decimal.Context(prec=digits + GUARD)):
        one = Decimal(1)
        return 8 * arctan_of_small(one / 5) - 2 * arctan_of_small(one / 239)


def arctan_of_small(x: Decimal) -> Decimal:
    return series(x, alternating=True, factorials=False, first=1)


def angle(y: Decimal, x: Decimal) -> Decimal:
    """The angle of the point (x, y), between -pi and pi."""
    if not x and not y:
        raise ValueError("0 has no angle")
    quarter = half_pi(getcontext().prec)
    if abs(y) > abs(x):
        return quarter.copy_sign(y) - arctan(x / y)
    if x > 0:
        return arctan(y / x)
    return arctan(y / x) + (2 * quarter if y >= 0 else -2 * quarter)


def arctan(x: Decimal) -> Decimal:
    """Halved three times, so that the series is short."""
    for _ in range(3):
        x = x / (1 + (1 + x * x).sqrt())
    return 8 * arctan_of_small(x)


def cosine_and_sine(x: Decimal) -> tuple[Decimal, Decimal]:
    """By the series, within pi/4 of a multiple of pi/2."""
    quarter = half_pi(getcontext().prec + max(0, x.adjusted()))
    turns = (x / quarter).to_integral_value()
    with decimal.localcontext(
        decimal.Context(prec=getcontext().prec + max(0, x.adjusted()) + GUARD)
    ):
        rest = x - turns * quarter
    cosine = series(rest, alternating=True, factorials=True, first=0)
    sine = series(rest, alternating=True, factorials=True, first=1)
    for _ in range(int(turns) % 4):
        cosine, sine = -sine, cosine
    return cosine, sine


# ---- The functions of cmath ----------------------------------------------------------------------


def exp(z) -> Number:
    z = number(z)
    size = z.real.exp()
    if not z.imag:
        return Number(size)
    cosine, sine = cosine_and_sine(z.imag)
    return Number(size * cosine, size * sine)


def log(z) -> Number:
    z = number(z)
    size = abs(z)
    if not size:
        raise ValueError("0 has no logarithm")
    return Number(size.ln(), angle(z.imag, z.real) if z.imag or z.real < 0 else ZERO)


def log10(z) -> Number:
    return log(z) / log(10)


def sqrt(z) -> Number:
    """The root with a real part of at least 0."""
    z = number(z)
    if not z.imag:
        root = abs(z.real).sqrt()
        return Number(root) if z.real >= 0 else Number(ZERO, root)
    real = ((abs(z) + abs(z.real)) / 2).sqrt()
    imag = z.imag / (2 * real)
    return Number(real, imag) if z.real >= 0 else Number(abs(imag), real.copy_sign(z.imag))


def cos(z) -> Number:
    return cosh(I * z)


def sin(z) -> Number:
    z = number(z)
    if not z.imag:
        return Number(cosine_and_sine(z.real)[1])
    return sinh(I * z) / I


def tan(z) -> Number:
    return sin(z) / cos(z)


def cosh(z) -> Number:
    return (exp(z) + exp(-number(z))) / 2


def sinh(z) -> Number:
    return (exp(z) - exp(-number(z))) / 2


def asin(z) -> Number:
    return log(I * z + sqrt(1 - number(z) * z)) / I


def acos(z) -> Number:
    return Number(half_pi(getcontext().prec)) - asin(z)


def atan(z) -> Number:
    return (log(1 + I * z) - log(1 - I * z)) / (2 * I)


I = Number(ZERO, Decimal(1))
