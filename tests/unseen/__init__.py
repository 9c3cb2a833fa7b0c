"""A second, independent judge: worlds written from knowledge of the field, before the detectors were read."""
