"""Users: the cached data of recipients, each row with its own end. Written by agents/users alone."""

from inm.core.users import User
from inm.tables.rows import Rows

users = Rows("users", User)
