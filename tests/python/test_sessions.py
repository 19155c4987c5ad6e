import threading
import time

import numpy as np
import pytest

import figment


class OnDevice:
    """A tensor as PyTorch has it on another device."""

    class device:
        type = "cuda"

        def __str__(self):
            return "cuda:0"

    device = device()
    shape = (2, 784)

    def __len__(self):
        return 2


def test_arrays_that_do_not_fit(vae, rng):
    session = vae.session(batch=2)
    for samples, message in (
        (np.zeros((2, 783), np.float32), r"\[2, 783\]; expected \[2, "),
        (np.zeros((2, 784), np.int64), "dtype int64: floating-point"),
        (np.zeros((2, 784), np.complex64), "dtype complex64"),
        (np.full((2, 784), "x"), "dtype"),
        ([[1.0, 2.0], [3.0]], "different lengths|inhomogeneous"),
        (OnDevice(), "on the device cuda:0: move it to the CPU"),
    ):
        with pytest.raises(figment.InvalidArgument, match=message):
            session.encode(samples)
    assert np.isfinite(session.encode(rng.random((2, 784), np.float32))).all()


@pytest.mark.parametrize("options", [{"batch": -1}, {"threads": 2**32}, {"length": -1}])
def test_options_out_of_range(gan, options):
    with pytest.raises(figment.InvalidArgument):
        gan.session(**options)


def test_memory_limit(gan):
    need = gan.session(batch=4).memory
    assert need["total"] >= need["arena"] > 0
    with pytest.raises(figment.MemoryLimit, match="needs|limit"):
        gan.session(batch=4, memory_limit=1000)
    assert gan.session(batch=4, memory_limit=need["peak"]).memory["total"] == need["total"]


def test_an_unknown_program(gan):
    with pytest.raises(figment.NotFound):
        gan.session(program="dream")


def long_call(cdcgan):
    """A session, and a thread that computes with it for a while; it has begun."""
    session = cdcgan.session(batch=16)
    labels = np.zeros(6000, np.int64)
    thread = threading.Thread(target=lambda: session.generate(6000, conditions={"label": labels}))
    thread.start()
    while thread.is_alive() and not session._lock.locked():
        time.sleep(0)
    return session, thread


def test_a_session_in_use_is_refused_and_the_gil_is_free(cdcgan):
    session, thread = long_call(cdcgan)
    counted = 0
    refused = 0
    while thread.is_alive():
        counted += 1
        try:
            session.generate(1, conditions={"label": 0})
        except figment.InUse as error:
            assert "one session a thread" in str(error)
            refused += 1
        time.sleep(0)
    thread.join()
    assert refused > 0
    # With the GIL held, this thread would not have run beside the other.
    assert counted > 10
    assert session.generate(1, conditions={"label": 0}).shape[0] == 1


def test_a_session_in_use_is_not_closed(cdcgan):
    session, thread = long_call(cdcgan)
    with pytest.raises(figment.InUse):
        session.close()
    thread.join()
    session.close()


def test_sessions_of_several_threads(gan):
    expected = gan.generate(40, seed=5)
    results = {}

    def compute(i):
        results[i] = gan.session(batch=8, seed=5).generate(40)

    threads = [threading.Thread(target=compute, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        np.testing.assert_array_equal(results[i], expected)
