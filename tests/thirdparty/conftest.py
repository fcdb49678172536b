"""These packages' tests run where the packages are installed: see tests/test_plugins.py and scripts/thirdparty.py."""

collect_ignore_glob = ["*"]
