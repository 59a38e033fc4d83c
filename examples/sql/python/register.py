"""Places an order, and registers its event: DATABASE_URL=postgres://… python register.py [NUMBER]"""

import os
import sys

import psycopg
from psycopg.types.json import Json

REGISTER = """
    select tidings.register_event(
        'order:placed', %(payload)s, scope => %(scope)s, ordering_key => %(key)s, idempotency_key => %(key)s)
"""


def place(conn, number, customer):
    """Writes an order and registers its event, in the caller's transaction; returns the event's id."""
    conn.execute(
        "insert into shop_order (number, customer) values (%s, %s) on conflict do nothing",
        (number, customer),
    )
    options = {
        "payload": Json({"order": number, "customer": customer}),
        "scope": "shop=berlin",
        "key": f"order-{number}",
    }
    return conn.execute(REGISTER, options).fetchone()[0]


def attempt(conn, statement, values=()):
    """Tries what cannot be registered, behind a savepoint: the transaction stays usable."""
    try:
        with conn.transaction():
            conn.execute(statement, values)
    except psycopg.Error as error:
        print(f"{error.sqlstate} {error.diag.message_primary}")
        print(f"  hint: {error.diag.message_hint}")


def main():
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with psycopg.connect(os.environ["DATABASE_URL"]) as conn:
        # A write and its event: both are there after the commit, or neither.
        with conn.transaction():
            event = place(conn, number, "Ada")
        print(f"order {number} is placed: event {event}")

        # The same again, as after an answer that got lost: the key says that it is the same event.
        with conn.transaction():
            event = place(conn, number, "Ada")
        print(f"order {number} once more: event {event}")

        # What cannot be registered is an error, and an error leaves nothing behind.
        with conn.transaction():
            event = place(conn, number + 1, "Bob")
            print(f"order {number + 1} is placed: event {event}")
            attempt(conn, "select tidings.register_event('order:lost', '{}')")
            attempt(conn, "select tidings.register_event('order:placed', '{}', scope => 'shop berlin')")
            attempt(
                conn,
                "select tidings.register_event('order:placed', '{}', idempotency_key => %s)",
                (f"order-{number}",),
            )
            # The write and its event go together.
            raise psycopg.Rollback

        query = "select count(*) from shop_order where number = %s"
        orders = conn.execute(query, (number + 1,)).fetchone()[0]
        print(f"order {number + 1} is rolled back: {orders} orders")


if __name__ == "__main__":
    main()
