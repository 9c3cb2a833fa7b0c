"""A page in a real browser, with what it complained of and asked for."""

from contextlib import contextmanager

from needs import program
from playwright.sync_api import sync_playwright

QUIET = [f"--disable-{name}" for name in ("gpu", "background-networking", "component-update", "sync", "extensions")]
HANDLERS = """[...document.querySelectorAll('*')].filter((it) => it.getAttributeNames().some(
  (name) => name.startsWith('on'))).map((it) => it.outerHTML)"""


@contextmanager
def chromium():
    """Give a browser."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox", *QUIET])
        yield browser
        browser.close()


class Opened:
    """A page that must have asked for nothing and complained of nothing when the context ends."""

    def __init__(self, browser, path, **options):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.complaints, self.requests = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.address = path.as_uri()
        self.page.goto(self.address)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.context.close()
        if kind is None:
            assert self.complaints == []
            assert self.requests == [self.address]

    def handlers(self):
        """Return the elements that have an attribute that would run a script."""
        return self.page.evaluate(HANDLERS)

    def elements(self):
        """Return the names of the elements of the page."""
        return set(self.page.evaluate("[...document.querySelectorAll('*')].map((it) => it.localName)"))
