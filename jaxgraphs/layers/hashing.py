"""The two hashes by which Keras sorts texts: FarmHash's 64-bit fingerprint, and SipHash-2-4 where a key is given."""

from __future__ import annotations

from collections.abc import Iterable

_MASK = 2**64 - 1
# TensorFlow's key for crossings, and the factor by which it mixes fingerprints.
_CROSSING, _MIX = 0xDECAFCAFFE, 0xC6A4A7935BD1E995
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def cross_fingerprints(fingerprints: Iterable[int]) -> int:
    """The fingerprint of several values together, as TensorFlow's `cross_hashed` has it.

    >>> cross_fingerprints([fingerprint64(b"A"), 101]) % 5
    1
    """
    result = _CROSSING
    for fingerprint in fingerprints:
        result ^= _MIX ^ (_shifted(fingerprint * _MIX & _MASK) * _MIX & _MASK)
        result = _shifted(_shifted(result * _MIX & _MASK) * _MIX & _MASK)
    return result


def _shifted(number: int) -> int:
    return number ^ (number >> 47)


def fingerprint64(text: bytes) -> int:
    """FarmHash's Fingerprint64, the same on every machine.

    Reference: Pike (2014), FarmHash, farmhashna::Hash64.

    >>> [fingerprint64(word) % 3 for word in (b"A", b"B", b"C", b"D", b"E")]
    [1, 0, 1, 1, 2]
    """
    if len(text) <= 16:
        return _up_to_16(text)
    if len(text) <= 32:
        return _up_to_32(text)
    return _up_to_64(text) if len(text) <= 64 else _longer(text)


def siphash64(text: bytes, key: tuple[int, int]) -> int:
    """SipHash-2-4: 64 bits that nobody can aim at without the key.

    Reference: Aumasson & Bernstein (2012), SipHash: a fast short-input PRF.

    >>> hex(siphash64(bytes(range(15)), (0x0706050403020100, 0x0F0E0D0C0B0A0908)))
    '0xa129ca6149be45e5'
    """
    low, high = (number & _MASK for number in key)
    v = [low ^ 0x736F6D6570736575, high ^ 0x646F72616E646F6D, low ^ 0x6C7967656E657261, high ^ 0x7465646279746573]
    padded = text + bytes(7 - len(text) % 8) + bytes([len(text) & 255])
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        v[3] ^= word
        v = _round(_round(v))
        v[0] ^= word
    v[2] ^= 255
    for _ in range(4):
        v = _round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _round(v: list[int]) -> list[int]:
    a, b, c, d = v
    a, c = (a + b) & _MASK, (c + d) & _MASK
    b, d = _left(b, 13) ^ a, _left(d, 16) ^ c
    a = _left(a, 32)
    c, a = (c + b) & _MASK, (a + d) & _MASK
    b, d = _left(b, 17) ^ c, _left(d, 21) ^ a
    return [a, b, _left(c, 32), d]


def _left(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _MASK


def _right(value: int, bits: int) -> int:
    value &= _MASK
    return (value >> bits | value << (64 - bits)) & _MASK


def _fetch(text: bytes, place: int, size: int = 8) -> int:
    return int.from_bytes(text[place : place + size], "little")


def _mixed(value: int) -> int:
    value &= _MASK
    return value ^ value >> 47


def _two(u: int, v: int, factor: int) -> int:
    a = _mixed(((u ^ v) & _MASK) * factor)
    return _mixed(((v & _MASK) ^ a) * factor) * factor & _MASK


def _up_to_16(text: bytes) -> int:
    size = len(text)
    factor = _K2 + 2 * size
    if size >= 8:
        a, b = _fetch(text, 0) + _K2, _fetch(text, size - 8)
        return _two(_right(b, 37) * factor + a, (_right(a, 25) + b) * factor, factor)
    if size >= 4:
        return _two(size + (_fetch(text, 0, 4) << 3), _fetch(text, size - 4, 4), factor)
    if not size:
        return _K2
    y, z = text[0] + (text[size >> 1] << 8), size + (text[-1] << 2)
    return _mixed(y * _K2 ^ z * _K0) * _K2 & _MASK


def _up_to_32(text: bytes) -> int:
    size = len(text)
    factor = _K2 + 2 * size
    a, b = _fetch(text, 0) * _K1, _fetch(text, 8)
    c, d = _fetch(text, size - 8) * factor, _fetch(text, size - 16) * _K2
    return _two(_right(a + b, 43) + _right(c, 30) + d, a + _right(b + _K2, 18) + c, factor)


def _up_to_64(text: bytes) -> int:
    size = len(text)
    factor = _K2 + 2 * size
    a, b = _fetch(text, 0) * _K2, _fetch(text, 8)
    c, d = _fetch(text, size - 8) * factor, _fetch(text, size - 16) * _K2
    y = _right(a + b, 43) + _right(c, 30) + d
    z = _two(y, a + _right(b + _K2, 18) + c, factor)
    e, f = _fetch(text, 16) * factor, _fetch(text, 24)
    g, h = (y + _fetch(text, size - 32)) * factor, (z + _fetch(text, size - 24)) * factor
    return _two(_right(e + f, 43) + _right(g, 30) + h, e + _right(f + a, 18) + g, factor)


def _longer(text: bytes) -> int:
    x, y = (81 * _K2 + _fetch(text, 0)) & _MASK, 81 * _K1 + 113
    z = _mixed(y * _K2 + 113) * _K2
    v = w = (0, 0)
    rest = (len(text) - 1) & 63
    for start in range(0, (len(text) - 1) // 64 * 64, 64):
        x, y, z, v, w = _block(text, start, (x, y, z, v, w), _K1, 1)
    factor = _K1 + ((z & 255) << 1)
    w = (w[0] + rest, w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    x, y, z, v, w = _block(text, len(text) - 64, (x, y, z, v, w), factor, 9)
    first = _two(v[0], w[0], factor) + _mixed(y) * _K0 + z
    return _two(first, _two(v[1], w[1], factor) + x, factor)


def _block(text: bytes, start: int, state: tuple, factor: int, weight: int) -> tuple:
    """64 bytes more; the last block weighs some terms by 9."""
    x, y, z, v, w = state
    x = _right(x + y + v[0] + _fetch(text, start + 8), 37) * factor
    y = _right(y + v[1] + _fetch(text, start + 48), 42) * factor
    x ^= w[1] * weight
    y += v[0] * weight + _fetch(text, start + 40)
    z = _right(z + w[0], 33) * factor
    v = _seeded(text, start, v[1] * factor, x + w[0])
    w = _seeded(text, start + 32, z + w[1], y + _fetch(text, start + 16))
    return z & _MASK, y & _MASK, x & _MASK, v, w


def _seeded(text: bytes, start: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = (_fetch(text, start + 8 * index) for index in range(4))
    a += w
    b = _right(b + a + z, 21)
    c = a
    a += x + y
    b += _right(a, 44)
    return (a + z) & _MASK, (b + c) & _MASK
