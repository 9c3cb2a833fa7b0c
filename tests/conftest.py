"""The order of test files: those that take longest come first, so that no worker is left alone with one in the end."""

from pathlib import Path

HERE = Path(__file__).parent
LONG = (
    "blocking/test_scenarios.py", "engines/test_engines.py", "test_accuracy.py", "test_invariance.py",
    "test_hostile.py", "sip/test_streams.py", "blocking/test_firewalls.py", "recording/test_record.py",
    "jobs/test_kills.py", "engines/test_native.py", "test_compiled.py", "fuzz/test_fuzz.py",
    "extracting/test_extracting.py", "test_docs_commands.py", "anonymizing/test_proof.py", "store/test_store.py",
    "test_passivity.py", "jobs/test_ten_days.py", "jobs/test_run.py", "engines/test_kernels.py", "sip/test_kernels.py",
    "reports/test_browser.py", "reports/test_html.py",
    "live/test_command.py", "blocking/test_random.py", "blocking/test_commands.py",
    "jobs/test_disk.py", "test_decompress.py", "test_notebooks.py", "test_cli.py",
    "test_hostile_text.py", "test_capture.py", "test_benchmarks.py", "live/test_namespaces.py", "test_unseen.py",
)  # fmt: skip
"""Files whose tests take ten seconds and more, the longest first."""


def pytest_collection_modifyitems(items):
    """Put the tests of long files before all others; among others, the order stays."""
    place = {HERE / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(LONG)))
