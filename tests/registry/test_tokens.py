from p2pcli.registry.tokens import PERIOD_S, Tokens

START = 1_700_000_000 // PERIOD_S * PERIOD_S  # the beginning of a period


def test_a_token_is_good_for_this_period_and_the_next():
    tokens = Tokens(b"master")
    token = tokens.give("10.0.0.1", START)
    assert tokens.accepts(token, "10.0.0.1", START + PERIOD_S - 1)
    assert tokens.accepts(token, "10.0.0.1", START + 2 * PERIOD_S - 1)
    assert not tokens.accepts(token, "10.0.0.1", START + 2 * PERIOD_S)


def test_a_token_is_good_for_one_address_only():
    tokens = Tokens(b"master")
    assert not tokens.accepts(tokens.give("10.0.0.1", START), "10.0.0.2", START)


def test_tokens_survive_a_restart_with_the_same_secret():
    token = Tokens(b"master").give("10.0.0.1", START)
    assert Tokens(b"master").accepts(token, "10.0.0.1", START + 1)
    assert not Tokens(b"another").accepts(token, "10.0.0.1", START + 1)


def test_guesses_are_not_tokens():
    tokens = Tokens(b"master")
    for guess in (b"", b"\0" * 20, b"x" * 1000, tokens.give("10.0.0.1", START)[:19]):
        assert not tokens.accepts(guess, "10.0.0.1", START)


def test_many_askers_take_bounded_memory():
    tokens = Tokens(b"master")
    for number in range(10_000):
        tokens.give(f"10.0.{number // 256}.{number % 256}", START)
    assert len(tokens._given) < 3_000
