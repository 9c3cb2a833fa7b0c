"""Packets to messages and anomalies: SIP (RFC 3261) is parsed here, once for all engines."""
