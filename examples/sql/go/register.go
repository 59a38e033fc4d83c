// Places an order, and registers its event: DATABASE_URL=postgres://… go run . [NUMBER]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const register = `
	select tidings.register_event(
		'order:placed', $1::json, scope => $2, ordering_key => $3, idempotency_key => $3)::text`

type order struct {
	Number   int64  `json:"order"`
	Customer string `json:"customer"`
}

// errRollback is what a transaction ends with that is not to be.
var errRollback = errors.New("rolled back on purpose")

// place writes an order and registers its event, in the caller's transaction; it returns the event's id.
func place(ctx context.Context, tx pgx.Tx, it order) (event string, err error) {
	insert := "insert into shop_order (number, customer) values ($1, $2) on conflict do nothing"
	if _, err = tx.Exec(ctx, insert, it.Number, it.Customer); err != nil {
		return "", err
	}
	payload, err := json.Marshal(it)
	if err != nil {
		return "", err
	}
	key := fmt.Sprintf("order-%d", it.Number)
	err = tx.QueryRow(ctx, register, payload, "shop=berlin", key).Scan(&event)
	return event, err
}

// attempt tries what cannot be registered, behind a savepoint: the transaction stays usable.
func attempt(ctx context.Context, tx pgx.Tx, statement string, values ...any) error {
	err := pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error {
		_, err := savepoint.Exec(ctx, statement, values...)
		return err
	})
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		fmt.Printf("%s %s\n  hint: %s\n", refused.Code, refused.Message, refused.Hint)
		return nil
	}
	return err
}

// refusals tries three events that cannot be registered, after an order that will be rolled back.
func refusals(ctx context.Context, tx pgx.Tx, number int64) error {
	event, err := place(ctx, tx, order{number + 1, "Bob"})
	if err != nil {
		return err
	}
	fmt.Printf("order %d is placed: event %s\n", number+1, event)
	if err := attempt(ctx, tx, "select tidings.register_event('order:lost', '{}')"); err != nil {
		return err
	}
	if err := attempt(ctx, tx, "select tidings.register_event('order:placed', '{}', scope => 'shop berlin')"); err != nil {
		return err
	}
	conflict := "select tidings.register_event('order:placed', '{}', idempotency_key => $1)"
	if err := attempt(ctx, tx, conflict, fmt.Sprintf("order-%d", number)); err != nil {
		return err
	}
	// The write and its event go together.
	return errRollback
}

func run(ctx context.Context, number int64) error {
	conn, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)

	// A write and its event: both are there after the commit, or neither. The second time is as after an answer that
	// got lost: the key says that it is the same event.
	for _, how := range []string{"is placed", "once more"} {
		var event string
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) (err error) {
			event, err = place(ctx, tx, order{number, "Ada"})
			return err
		})
		if err != nil {
			return err
		}
		fmt.Printf("order %d %s: event %s\n", number, how, event)
	}

	// What cannot be registered is an error, and an error leaves nothing behind.
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return refusals(ctx, tx, number) })
	if !errors.Is(err, errRollback) {
		return err
	}
	var orders int
	query := "select count(*) from shop_order where number = $1"
	if err := conn.QueryRow(ctx, query, number+1).Scan(&orders); err != nil {
		return err
	}
	fmt.Printf("order %d is rolled back: %d orders\n", number+1, orders)
	return nil
}

func main() {
	number := int64(7)
	if len(os.Args) > 1 {
		var err error
		if number, err = strconv.ParseInt(os.Args[1], 10, 64); err != nil {
			log.Fatal(err)
		}
	}
	if err := run(context.Background(), number); err != nil {
		log.Fatal(err)
	}
}
