"""The formats that can be imported; each module reads one, and recognises it by its first bytes."""
