"""What the broker should hold, and what of it has still to be said."""

from __future__ import annotations


class RetainedMessages:
    """The last message of each topic; a broker that was away gets the newest of each, never an older one after it."""

    def __init__(self) -> None:
        self._wanted: dict[str, bytes] = {}
        self._unsaid: dict[str, bytes] = {}

    def set(self, topic: str, payload: bytes) -> None:
        """Want a message; empty removes it from the broker. Nothing happens if it is wanted already."""
        if self._wanted.get(topic) != payload:
            self._wanted[topic] = payload
            self.repeat(topic)

    def repeat(self, topic: str) -> None:
        """Say a message again."""
        self._unsaid.pop(topic, None)
        self._unsaid[topic] = self._wanted[topic]

    def repeat_all(self, *, last: str) -> None:
        """Say everything again, in the order in which the topics came up, and one topic at the end."""
        self._unsaid = dict(self._wanted)
        self.repeat(last)

    def next_unsaid(self) -> tuple[str, bytes] | None:
        """Take the topic and message that is to be said next; None when there is none."""
        for topic in self._unsaid:
            return topic, self._unsaid.pop(topic)
        return None
