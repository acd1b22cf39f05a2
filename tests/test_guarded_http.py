import importlib.util
import io
import socket
from dataclasses import replace

import numpy as np
import pytest
from picture_server import Photos, PictureServer, bomb, picture, with_comment
from PIL import Image

from songtitle.corpora import guarded_http
from songtitle.corpora.guarded_http import (
    Limits,
    NotFetchedError,
    Reason,
    get,
    is_public,
)

WAYS = [
    *("good", "moved", "elsewhere", "flaky", "drip", "endless", "robots", "404", "500", "stall"),
    *("reset", "short", "empty", "loop", "private", "html", "bomb"),
]


@pytest.fixture(scope="module")
def server():
    with PictureServer(WAYS, Photos(WAYS)) as server:
        yield server


@pytest.fixture
def limits(server):
    return Limits(timeout=5.0, allow_private=[server.host])


def refused(url, limits):
    with pytest.raises(NotFetchedError) as caught:
        get(url, limits)
    return caught.value.reason


def url_of(server, way):
    return server.url(WAYS.index(way))


@pytest.mark.parametrize("way", ["good", "moved"])
def test_a_picture_comes_as_the_server_has_it_also_from_where_it_moved(server, limits, way):
    number = WAYS.index(way)
    assert get(server.url(number), limits)[0] == server.bodies(number)


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("404", Reason.NOT_FOUND),
        ("500", Reason.SERVER_ERROR),
        ("reset", Reason.RESET),
        ("short", Reason.CUT_SHORT),
        ("empty", Reason.EMPTY),
        ("loop", Reason.REDIRECTS),
        ("private", Reason.PRIVATE),
    ],
)
def test_each_way_of_failing_has_its_reason(server, limits, way, reason):
    assert refused(url_of(server, way), limits) == reason


@pytest.mark.parametrize(
    ("way", "limits", "reason"),
    [
        ("stall", {"timeout": 0.6}, Reason.TIMEOUT),
        ("drip", {"timeout": 0.6}, Reason.TIMEOUT),
        ("endless", {"max_bytes": 1000}, Reason.TOO_LARGE),
        ("good", {"max_bytes": 1000}, Reason.TOO_LARGE),
    ],
)
def test_an_answer_ends_at_the_deadline_and_at_max_bytes(server, way, limits, reason):
    assert refused(url_of(server, way), Limits(allow_private=[server.host], **limits)) == reason


def test_redirects_are_bounded(server, limits):
    before = len(server.log)
    refused(url_of(server, "loop"), limits)
    assert len(server.log) - before == limits.max_redirects + 1


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/secret",
        "http://localhost:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "http://10.1.2.3/secret",
        "http://[64:ff9b::7f00:1]/secret",  # 127.0.0.1 through NAT64
        "http://[2002:7f00:1::]/secret",  # and through 6to4
    ],
)
def test_a_redirect_to_a_private_address_is_refused_and_nothing_is_asked_there(
    server, limits, location, monkeypatch
):
    class Watched(socket.socket):  # were the guard broken, nobody's network would be touched
        def connect(self, address):
            assert f"{address[0]}:{address[1]}" == server.host, f"connected to {address}"
            super().connect(address)

    monkeypatch.setattr(guarded_http.socket, "socket", Watched)
    with PictureServer(["good"], picture) as other:
        port = other.host.rpartition(":")[2]
        server.elsewhere = location.format(port=port)
        assert refused(url_of(server, "elsewhere"), limits) == Reason.PRIVATE
        assert refused(server.elsewhere, limits) == Reason.PRIVATE
        assert other.log == []


@pytest.mark.parametrize("url", ["http://", "http://a..b/", "http://[x/", "x.jpg", "http://h:x/"])
def test_what_is_no_address_is_refused(url):
    assert refused(url, Limits()) == Reason.NOT_HTTP


def test_a_name_is_resolved_once_so_that_a_second_answer_gains_nothing(server, monkeypatch):
    port = int(server.host.rpartition(":")[2])
    answers = iter(["127.0.0.1", "10.0.0.1", None])

    def resolve(host, port, **_):
        assert host == "rebinding.example"
        if (answer := next(answers)) is None:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port))]

    monkeypatch.setattr(guarded_http.socket, "getaddrinfo", resolve)
    url = f"http://rebinding.example:{port}/good/0.jpg"
    assert get(url, Limits(allow_private=[server.host]))[0] == server.bodies(0)
    assert refused(url, Limits(allow_private=[server.host])) == Reason.PRIVATE
    assert refused(url, Limits()) == Reason.NO_NAME


def test_proxies_of_the_environment_are_not_used(server, limits, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert get(server.url(0), limits)[0] == server.bodies(0)


def test_plain_http_on_a_tls_port_is_told_from_a_reset(server, limits):
    url = server.url(0).replace("http:", "https:")
    assert refused(url, limits) == Reason.TLS


def test_spaces_and_letters_beyond_ascii_are_quoted(server, limits):
    assert get(f"{server.root}/good/0.jpg?q=ü b%20c", limits)[0] == server.bodies(0)
    assert server.log[-1] == "/good/0.jpg?q=%C3%BC%20b%20c"


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(address):
    assert is_public(address)


@pytest.fixture(scope="module")
def worker():
    for name in ("img2dataset", "imghdr"):
        if importlib.util.find_spec(name) is None:
            pytest.skip("needs img2dataset, which Python 3.13 and later cannot have")
    from songtitle.corpora import worker

    return worker


def png(mode, size):
    file = io.BytesIO()
    Image.new(mode, size).save(file, "PNG")
    return file.getvalue()


def refusal(worker, body, max_pixels=1_000_000):
    with pytest.raises(NotFetchedError) as caught:
        worker.as_jpeg(body, Limits(max_pixels=max_pixels, min_side=1))
    return caught.value.reason


def test_a_bomb_is_refused_by_its_header_and_a_picture_by_its_pixels(worker):
    assert refusal(worker, bomb()) == Reason.TOO_LARGE
    assert refusal(worker, bomb(), max_pixels=10**12) == Reason.TOO_LARGE
    assert refusal(worker, picture(1), max_pixels=402 * 401 - 1) == Reason.TOO_LARGE
    worker.as_jpeg(picture(1), Limits(max_pixels=402 * 401))


def test_half_a_picture_is_cut_short_and_text_is_none(worker):
    assert refusal(worker, picture(1)[:-2000]) == Reason.CUT_SHORT
    assert refusal(worker, png("RGB", (500, 500))[:-300]) == Reason.CUT_SHORT
    assert refusal(worker, b"<!doctype html>") == Reason.NOT_A_PICTURE
    assert refusal(worker, b"\xff\xd8\xff") == Reason.NOT_A_PICTURE


def test_a_picture_that_pillow_would_hand_to_another_program_is_none(worker):
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 500 500\n%%EndComments\nshowpage\n"
    assert Image.open(io.BytesIO(script)).format == "EPS"
    assert refusal(worker, script) == Reason.NOT_A_PICTURE


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3), (8, 8, 4)])
def test_a_picture_of_16_bits_a_channel_keeps_its_brightness(worker, shape):
    cv2 = pytest.importorskip("cv2")
    pixels = np.full(shape, 16_384, np.uint16)
    if shape[-1] == 4:
        pixels[..., 3] = 65_535  # opaque
    body = cv2.imencode(".png", pixels)[1].tobytes()
    jpeg, *size = worker.as_jpeg(body, Limits(min_side=8))
    assert size == [8, 8]
    assert abs(int(np.asarray(Image.open(io.BytesIO(jpeg))).mean()) - 64) <= 1


@pytest.mark.parametrize("way", ["flaky", "404"])
def test_only_what_may_pass_is_tried_again(worker, server, limits, way):
    url = url_of(server, way)
    server.log.clear()
    jpeg, about = worker.fetch_picture(url, limits=replace(limits, retries=2))
    assert len(server.log) == (2 if way == "flaky" else 1)
    if way == "flaky":
        assert jpeg == worker.as_jpeg(server.bodies(WAYS.index(way)), limits)[0]
        assert (about["status"], about["http_status"]) == ("success", 200)
    else:
        assert (jpeg, about["error_message"], about["http_status"]) == (None, "404 not found", 404)


def test_a_server_that_forbids_the_use_in_its_header_is_obeyed(worker, server, limits):
    jpeg, about = worker.fetch_picture(url_of(server, "robots"), limits=limits)
    assert (jpeg, about["error_message"], about["http_status"]) == (None, "robots tag", 200)


def test_a_jpeg_keeps_its_bytes_whatever_comes_first_in_it(worker):
    commented = with_comment(picture(1), b"comment before anything else")
    assert commented[6:10] not in (b"JFIF", b"Exif")
    assert worker.as_jpeg(commented, Limits()) == (commented, 401, 402)
    white = worker.as_jpeg(png("RGBA", (9, 7)), Limits(min_side=7))  # nothing but transparency
    assert np.asarray(Image.open(io.BytesIO(white[0]))).min() == 255
