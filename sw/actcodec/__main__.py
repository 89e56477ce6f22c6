"""``python -m actcodec``."""

from actcodec.cli import main

if __name__ == "__main__":
    main()
