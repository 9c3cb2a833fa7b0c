"""The commands: each parses its options, calls one public function, and prints."""
