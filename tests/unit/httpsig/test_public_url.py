import pytest

from offhook.httpsig import PublicUrl, SignedRequest


def dialled(url: str, base_path: str, target: str) -> tuple[str, str]:
    request = PublicUrl.parse(url, base_path).as_dialled(SignedRequest(target, "internal:8080", {}))
    return request.authority, request.request_target


@pytest.mark.parametrize(
    ("url", "base_path", "target", "expected"),
    [
        ("wss://V.example.com/audiohook", "/audiohook", "/audiohook/support", "/audiohook/support"),
        ("wss://v.example.com:443/audiohook/", "/audiohook", "/audiohook//support?v=2", "/audiohook//support?v=2"),
        ("wss://v.example.com/a/b", "/audiohook/", "/audiohook/x%2Fy", "/a/b/x%2Fy"),
        ("wss://v.example.com/voice", "/", "/support", "/voice/support"),
        ("wss://v.example.com/voice", "/audiohook", "/audiohook", "/voice"),
        ("wss://v.example.com", "/audiohook", "/audiohook/support", "/support"),
        ("wss://v.example.com", "/audiohook", "/audiohook", "/"),
        ("wss://v.example.com", "/audiohook", "/audiohook?v=2", "/?v=2"),
        ("wss://v.example.com/voice", "/audiohook", "/audiohooks/x", "/audiohooks/x"),
        ("wss://v.example.com/voice", "/audiohook", "/other", "/other"),
    ],
)
def test_as_dialled(url: str, base_path: str, target: str, expected: str) -> None:
    assert dialled(url, base_path, target) == ("v.example.com", expected)


def test_a_port_stays() -> None:
    assert dialled("wss://v.example.com:8443/x", "/x", "/x") == ("v.example.com:8443", "/x")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("v.example.com/audiohook", "wss://"),
        ("ftp://v.example.com", "wss://"),
        ("wss:///audiohook", "host"),
        ("wss://me@v.example.com", "user name"),
        ("wss://v.example.com/?a=b", "query"),
        ("wss://v.example.com/#x", "fragment"),
        ("wss://[::1", "Invalid IPv6"),
    ],
)
def test_what_is_no_public_url(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        PublicUrl.parse(url, "/audiohook")
