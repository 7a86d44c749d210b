"""Values as JSON sinks write them."""
import datetime
import decimal
import math


def told(value):
    """A value that JSON can hold, for one that a column holds."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case datetime.datetime():
            text = value.strftime("%Y-%m-%dT%H:%M:%S.%f")
            while text.endswith("000"):
                text = text[:-3]
            return text.rstrip(".") + ("Z" if value.tzinfo else "")
        case datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal():
            return float(value)
        case bytes():
            return value.hex()
        case dict():
            return {name: told(field) for name, field in value.items() if field is not None}
        case list():
            return [told(item) for item in value]
        case _:
            return value
