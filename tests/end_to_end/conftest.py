"""A Chromium for the tests of the live page; those of the report start their own, without another host's name."""

import pytest
from tests.end_to_end.live_page_kit import EVIL
from tests.end_to_end.test_report_in_browser import CHROMIUM, FLAGS


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        flags = (*FLAGS, f"--host-resolver-rules=MAP {EVIL} 127.0.0.1")
        found = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield found
        found.close()
