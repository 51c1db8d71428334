"""Ask a Tintype server from a program of your own, and have an answer in time whatever happens."""

from tintype.client.answers import Answer, Default
from tintype.client.asynchronous import AsyncClient
from tintype.client.blocking import Client
from tintype.client.calls import Feedback
from tintype.client.policy import ClientPolicy

__all__ = ["Answer", "AsyncClient", "Client", "ClientPolicy", "Default", "Feedback"]
