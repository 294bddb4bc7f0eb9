"""Coverage-guided fuzz targets: `pip install httptop[fuzz]`, then `python -m tests.fuzz heads -max_total_time=60`.

Targets: heads, files, talks. What one finds becomes a case in tests/core/test_finds.py.
"""
