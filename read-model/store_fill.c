/* Writes windows of the log into a generation that nobody reads, and nobody else writes: by plain commands,
 * a fraction of what a function that compares would cost. Each window goes through the passes below, one
 * after the other; within a pass no two commands concern the same member of a key, and the next begins
 * when all are answered, or at once where its keys are others. So their order does not matter, wherever a
 * cluster sends them. */
#include "read-model/store_fill.h"
#include "read-model/store_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	UNDER_WAY_MAX = 2048, /* commands: half of them with Redis, the others ready to follow */
	MEMBERS_PER_COMMAND = 500,
};

/* What Redis has of an entity that came before this window. */
struct old {
	struct fill *fill;
	bool there, more;
	const char *score; /* of its creation */
	struct projection_text indexed[KIND_INDICES_MAX];
};

struct fill {
	struct model_store *store;
	struct projection *window;
	struct fill_changes changes;
	struct old **olds;        /* by index in the window; NULL: there is none */
	struct fill_set *set;     /* to be written next */
	struct fill_order *order; /* to be asked for next */
	size_t pass, at;          /* index in the window */
	size_t waiting;           /* commands under way */
	struct error failure;     /* the first one */
	model_store_done *done;
	void *arg;
};

static void go_on(struct fill *fill);

static struct redis_command *command_begin(struct fill *fill, const char *name, const char *a,
                                           const char *b, const char *c)
{
	struct redis_command *command = model_store_command(fill->store, name);
	model_store_arg_key(fill->store, command, a, b, c);
	return command;
}

static void send(struct fill *fill, redis_done *done, void *arg)
{
	fill->waiting++;
	redis_queue(fill->store->redis, &fill->store->command, done, arg);
}

/* True: the value can be used. */
static bool answered(struct fill *fill, const struct redis_value *value, const char *shape,
                     const struct error *redis_err)
{
	struct error err;
	fill->waiting--;
	if (!model_store_failed(value, shape, redis_err, &err))
		return true;
	if (fill->failure.code == ERR_NONE)
		fill->failure = err;
	return false;
}

static void written(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	answered(arg, value, redis_value_kind(value) == REDIS_INTEGER ? "i" : "s", redis_err);
	go_on(arg);
}

static struct projection_text keep_text(struct fill *fill, const struct redis_value *value)
{
	struct projection_text text;
	const char *bytes = redis_value_string(value, &text.len);
	text.bytes = arena_copy(fill->changes.arena, bytes, text.len);
	return text;
}

/* ---- pass: what is there of the entities that came before the window ---- */

enum { OLD_VERSION, OLD_MORE, OLD_INDEXED };

static void got_old(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct old *old = arg;
	struct fill *fill = old->fill;
	if (answered(fill, value, "[?s]", redis_err)) {
		old->there = redis_value_kind(redis_value_at(value, OLD_VERSION)) != REDIS_NIL;
		old->more = redis_value_kind(redis_value_at(value, OLD_MORE)) != REDIS_NIL;
		for (size_t i = 0; i < KIND_INDICES_MAX; i++)
			old->indexed[i] = keep_text(fill, redis_value_at(value, OLD_INDEXED + i));
	}
	go_on(fill);
}

static void got_score(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct old *old = arg;
	if (answered(old->fill, value, "?s", redis_err))
		old->score = keep_text(old->fill, value).bytes;
	go_on(old->fill);
}

static bool ask_old(struct fill *fill)
{
	struct projection_write write;
	if (fill->at == projection_writes(fill->window))
		return false;
	size_t index = fill->at++;
	fill->olds[index] = NULL;
	if (!projection_head(fill->window, index, &write) || write.action == PROJECTION_MAIL ||
	    (write.action == PROJECTION_PUT && write.before == PROJECTION_NEW))
		return true;
	struct old *old = arena_zalloc(fill->changes.arena, sizeof(*old));
	old->fill = fill;
	fill->olds[index] = old;
	struct redis_command *command =
	    command_begin(fill, "HMGET", write.topic, "_entity:", write.id);
	redis_arg(command, "_version");
	redis_arg(command, "_more");
	for (size_t i = 0; i < kind_index_count(write.kind); i++)
		redis_arg(command, write.kind->indices[i].field);
	send(fill, got_old, old);
	command = command_begin(fill, "ZSCORE", write.topic, "_ids", "");
	redis_arg(command, write.id);
	send(fill, got_score, old);
	return true;
}

/* ---- pass: the entities and mails ---- */

static const struct old nothing = { 0 };

static void change_ids(struct fill *fill, const struct projection_write *write, const char *score)
{
	fill_change_set(&fill->changes, write->topic, (struct projection_text){ "_ids", 4 },
	                write->id, score);
}

static struct projection_text index_value(const struct projection_write *write, size_t index)
{
	const struct kind *kind = write->kind;
	return write->values[kind_field_position(kind, kind->indices[index].field)];
}

/* It was there before the window, was deleted in it, and is another one now. */
static bool is_again(const struct projection_write *write, const struct old *old)
{
	return old->there && write->action == PROJECTION_PUT && write->before == PROJECTION_DROP;
}

/* From the sets of what was there to those of what is there now. */
static void move_members(struct fill *fill, const struct projection_write *write,
                         const struct old *old, const char *score)
{
	bool gone = write->action == PROJECTION_REMOVE, again = is_again(write, old);
	for (size_t i = 0; i < kind_index_count(write->kind); i++) {
		struct fill_move move = { &write->kind->indices[i], write->id, score, again };
		struct projection_text to = gone ? fill_no_text : index_value(write, i);
		fill_move_member(&fill->changes, &move,
		                 old->there ? &old->indexed[i] : &fill_no_text, &to);
	}
}

static bool is_order(const struct projection_write *write)
{
	return strcmp(write->topic, "order") == 0;
}

static void note_order(struct fill *fill, const struct projection_write *write,
                       const struct old *old, const char *score)
{
	const struct kind_index *index = kind_index_of(write->kind, "status");
	size_t at = (size_t)(index - write->kind->indices);
	bool gone = write->action == PROJECTION_REMOVE;
	struct projection_text status = gone ? fill_no_text : index_value(write, at);
	bool same = old->there && write->before != PROJECTION_DROP && !gone &&
	            fill_same_set(index, &old->indexed[at], &status);
	if (same)
		return;
	struct fill_order *order = fill_order_of(&fill->changes, write->id, strlen(write->id));
	order->known = true;
	order->fresh = !old->there;
	order->score = score;
	order->closed = gone || strcmp(status.bytes, "CANCELLED") == 0;
}

static void put_mail(struct fill *fill, const struct projection_write *write)
{
	struct redis_command *command = command_begin(fill, "XADD", "mails", "", "");
	redis_arg(command, write->id);
	redis_arg(command, "event_id");
	redis_arg_bytes(command, write->values[0].bytes, write->values[0].len);
	redis_arg(command, "json");
	redis_arg_bytes(command, write->values[1].bytes, write->values[1].len);
	send(fill, written, fill);
}

static void remove_entity(struct fill *fill, const struct projection_write *write,
                          const struct old *old)
{
	if (!old->there)
		return;
	command_begin(fill, "DEL", write->topic, "_entity:", write->id);
	send(fill, written, fill);
	change_ids(fill, write, NULL);
	move_members(fill, write, old, NULL);
	if (is_order(write))
		note_order(fill, write, old, NULL);
}

static void send_entity(struct fill *fill, const struct projection_write *write)
{
	struct redis_command *command =
	    command_begin(fill, "HSET", write->topic, "_entity:", write->id);
	redis_arg(command, "_version");
	redis_arg_integer(command, (int64_t)write->version);
	for (size_t i = 0; i < write->value_count; i++) {
		redis_arg(command, kind_field_name(write->kind, i));
		redis_arg_bytes(command, write->values[i].bytes, write->values[i].len);
	}
	if (write->more.len > 0) {
		redis_arg(command, "_more");
		redis_arg_bytes(command, write->more.bytes, write->more.len);
	}
	send(fill, written, fill);
}

static void put_entity(struct fill *fill, const struct projection_write *write,
                       const struct old *old)
{
	bool again = is_again(write, old);
	const char *score = old->score;
	if (!old->there || again) {
		score = arena_printf(fill->changes.arena, "%" PRIu64, write->created_us);
		change_ids(fill, write, score);
	}
	send_entity(fill, write);
	if (old->more && write->more.len == 0) {
		redis_arg(command_begin(fill, "HDEL", write->topic, "_entity:", write->id),
		          "_more");
		send(fill, written, fill);
	}
	move_members(fill, write, old, score);
	if (is_order(write))
		note_order(fill, write, old, score);
}

static bool put_next(struct fill *fill)
{
	struct projection_write write;
	if (fill->at == projection_writes(fill->window))
		return false;
	size_t index = fill->at++;
	const struct old *old = fill->olds[index] != NULL ? fill->olds[index] : &nothing;
	if (!projection_at(fill->window, index, &write))
		return true;
	if (write.action == PROJECTION_MAIL)
		put_mail(fill, &write);
	else if (write.action == PROJECTION_REMOVE)
		remove_entity(fill, &write, old);
	else
		put_entity(fill, &write, old);
	return true;
}

/* ---- pass: the sorted sets ---- */

static void send_members(struct fill *fill, const struct fill_set *set, const char *name,
                         struct fill_member **list)
{
	struct redis_command *command = command_begin(fill, name, set->key, "", "");
	for (size_t i = 0; i < MEMBERS_PER_COMMAND && *list != NULL; i++) {
		struct fill_member *member = *list;
		*list = member->next;
		if (member->score != NULL)
			redis_arg(command, member->score);
		redis_arg(command, member->id);
	}
	send(fill, written, fill);
}

static bool put_set(struct fill *fill)
{
	struct fill_set *set = fill->set;
	if (set == NULL)
		return false;
	if (set->rems != NULL)
		send_members(fill, set, "ZREM", &set->rems);
	else if (set->adds != NULL)
		send_members(fill, set, "ZADD", &set->adds);
	if (set->rems == NULL && set->adds == NULL)
		fill->set = set->hh.next;
	return true;
}

/* ---- pass: which orders are billed and shipped ---- */

/* Whether an order is billed, or shipped. */
struct has {
	struct fill *fill;
	bool *answer;
};

static void got_has(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	const struct has *has = arg;
	if (answered(has->fill, value, "i", redis_err))
		*has->answer = redis_value_integer(value) > 0;
	go_on(has->fill);
}

static void got_status(void *arg, const struct redis_value *value, const struct error *redis_err)
{
	struct fill_order *order = arg;
	struct fill *fill = order->fill;
	size_t len;
	if (answered(fill, value, "?s", redis_err))
		order->closed = redis_value_kind(value) == REDIS_NIL ||
		                strcmp(redis_value_string(value, &len), "CANCELLED") == 0;
	go_on(fill);
}

static void got_order_score(void *arg, const struct redis_value *value,
                            const struct error *redis_err)
{
	struct fill_order *order = arg;
	struct fill *fill = order->fill;
	if (answered(fill, value, "?s", redis_err))
		order->score = keep_text(fill, value).bytes;
	go_on(fill);
}

/* The window says so, or Redis is asked. */
static void ask_has(struct fill_order *order, const char *set_name, bool *answer)
{
	struct fill *fill = order->fill;
	struct projection_text id = { order->id, strlen(order->id) };
	*answer = fill_set_of(&fill->changes, set_name, id)->grows;
	if (*answer)
		return;
	struct has *has = arena_alloc(fill->changes.arena, sizeof(*has));
	*has = (struct has){ fill, answer };
	command_begin(fill, "EXISTS", set_name, order->id, "");
	send(fill, got_has, has);
}

static bool ask_order(struct fill *fill)
{
	struct fill_order *order = fill->order;
	if (order == NULL)
		return false;
	fill->order = order->hh.next;
	if (order->known && order->closed)
		return true;
	ask_has(order, "order_billings:", &order->billed);
	ask_has(order, "order_shippings:", &order->shipped);
	if (order->known)
		return true;
	redis_arg(command_begin(fill, "HGET", "order", "_entity:", order->id), "status");
	send(fill, got_status, order);
	redis_arg(command_begin(fill, "ZSCORE", "order_ids", "", ""), order->id);
	send(fill, got_order_score, order);
	return true;
}

static void settle_order(struct fill *fill, const struct fill_order *order, const char *set,
                         bool done)
{
	if (!done && !order->closed)
		fill_change_set(&fill->changes, set, fill_no_text, order->id, order->score);
	else if (!order->fresh)
		fill_change_set(&fill->changes, set, fill_no_text, order->id, NULL);
}

static bool settle_orders(struct fill *fill)
{
	fill_clear_sets(&fill->changes);
	for (struct fill_order *order = fill->changes.orders; order != NULL;
	     order = order->hh.next) {
		settle_order(fill, order, "unbilled_order_ids", order->billed);
		settle_order(fill, order, "unshipped_order_ids", order->shipped);
	}
	return false;
}

/* ---- the passes ---- */

static const struct {
	/* Queues the commands of its next thing; false: there was none left. */
	bool (*next)(struct fill *fill);
	bool at_once; /* before the pass before is answered */
} passes[] = {
	{ ask_old, false },   { put_next, false },      { put_set, true },
	{ ask_order, false }, { settle_orders, false }, { put_set, false },
};

static void end(struct fill *fill)
{
	struct error failure = fill->failure;
	fill_clear(&fill->changes);
	free(fill->olds);
	arena_destroy(fill->changes.arena);
	model_store_done *done = fill->done;
	void *arg = fill->arg;
	free(fill);
	done(arg, failure.code == ERR_NONE ? NULL : &failure);
}

static void next_pass(struct fill *fill)
{
	fill->pass++;
	fill->at = 0;
	fill->set = fill->changes.sets;
	fill->order = fill->changes.orders;
}

static void go_on(struct fill *fill)
{
	bool failed = fill->failure.code != ERR_NONE;
	while (!failed && fill->waiting < UNDER_WAY_MAX && fill->pass < ARRAY_LEN(passes)) {
		if (passes[fill->pass].next(fill))
			continue;
		size_t next = fill->pass + 1;
		if (fill->waiting > 0 && (next == ARRAY_LEN(passes) || !passes[next].at_once))
			return;
		next_pass(fill);
	}
	if (fill->waiting == 0 && (failed || fill->pass == ARRAY_LEN(passes)))
		end(fill);
}

/* A generation that has one is filled: its readers would see what stands between two passes. */
static void got_checkpoint(void *arg, const struct redis_value *value,
                           const struct error *redis_err)
{
	struct fill *fill = arg;
	if (answered(fill, value, "i", redis_err) && redis_value_integer(value) != 0)
		error_set(&fill->failure, ERR_CONFLICT, "generation %" PRIu64 " is filled already",
		          fill->store->generation);
	go_on(fill);
}

void model_store_fill(struct model_store *store, struct projection *window, model_store_done *done,
                      void *arg)
{
	struct fill *fill = calloc(1, sizeof(*fill));
	ASSERT(fill != NULL);
	*fill = (struct fill){ .store = store, .window = window, .done = done, .arg = arg };
	fill->changes = (struct fill_changes){ .arena = arena_create(), .fill = fill };
	fill->olds = calloc(projection_writes(window) + 1, sizeof(struct old *));
	ASSERT(fill->olds != NULL);
	command_begin(fill, "EXISTS", "checkpoint", "", "");
	send(fill, got_checkpoint, fill);
}
