#include "read-model/service_internal.h"

#include "base/id.h"

#include <stdio.h>
#include <stdlib.h>

enum { REDIS_TIMEOUT_MS = 5000, STOP_GRACE_MS = 1000, TOKENS_MAX = 64 };

bool model_ready(const struct read_model *model, struct error *err)
{
	return model->live != NULL ||
	       error_set(err, ERR_UNAVAILABLE, "the read model is being built");
}

bool model_consistency(const Rm__Consistency *consistency, struct model_position *position,
                       unsigned *wait_ms, struct error *err)
{
	*position = (struct model_position){ "", "" };
	*wait_ms = MODEL_WAIT_MS;
	if (consistency == NULL)
		return true;
	if (consistency->wait_ms > MODEL_WAIT_MAX_MS)
		return error_set(err, ERR_INVALID, "consistency.wait_ms: must be at most %d",
		                 MODEL_WAIT_MAX_MS);
	if (consistency->n_tokens > TOKENS_MAX)
		return error_set(err, ERR_INVALID, "consistency.tokens: at most %d", TOKENS_MAX);
	if (consistency->at[0] != '\0' && consistency->n_tokens > 0)
		return error_set(err, ERR_INVALID, "consistency.at: goes without tokens");
	if (consistency->wait_ms > 0)
		*wait_ms = consistency->wait_ms;
	for (size_t i = 0; i < consistency->n_tokens; i++) {
		const Rm__Token *token = consistency->tokens[i];
		struct model_position place;
		struct entry_id id;
		if (!name_check("topic", token->topic, err) ||
		    !entry_id_parse(token->entry_id, &id, err))
			return error_wrap(err, "consistency.tokens[%zu]", i);
		model_position_set(&place, token->entry_id, token->topic);
		if (model_position_compare(&place, position) > 0)
			*position = place;
	}
	return true;
}

/* ---- life ---- */

static bool listen_all(struct read_model *model, const struct read_model_options *options,
                       struct error *err)
{
	model->server = rpc_server_create(model->loop);
	rpc_server_add(model->server, &rm__read_model__descriptor, model_methods,
	               model_method_count, model);
	for (size_t i = 0; i < options->listen_count; i++) {
		int port = 0;
		if (!rpc_server_listen(model->server, options->listen[i], &port, err))
			return false;
		if (i == 0)
			model->port = port;
	}
	return true;
}

static void name_process(struct read_model *model, const struct read_model_options *options)
{
	char name[INSTANCE_NAME_SIZE], life[UUID_SIZE];
	instance_name(name, options->listen[0], model->port);
	uuid_v4(life);
	snprintf(model->process, sizeof(model->process), "%.80s#%.8s", name, life);
}

bool read_model_serve(struct loop *loop, const struct read_model_options *options,
                      struct read_model **out, struct error *err)
{
	struct model_generations found;
	struct read_model *model = calloc(1, sizeof(*model));
	ASSERT(model != NULL);
	model->loop = loop;
	if (!redis_create(loop, options->redis_url, model_store_libraries, MODEL_STORE_LIBRARIES,
	                  REDIS_TIMEOUT_MS, &model->redis, err) ||
	    !model_generations_read(model->redis, &found, err) ||
	    !listen_all(model, options, err)) {
		read_model_destroy(model);
		return false;
	}
	model->event_store = rpc_channel_create(loop, options->event_store);
	name_process(model, options);
	model->moments = moments_create(model);
	generations_create(model, &found, options->rebuild);
	if (options->message_queue != NULL) {
		model->message_queue = rpc_channel_create(loop, options->message_queue);
		model->functions = functions_create(model);
	}
	rpc_server_start(model->server);
	*out = model;
	return true;
}

int read_model_port(const struct read_model *model)
{
	return model->port;
}

static void one_stopped(void *arg)
{
	struct read_model *model = arg;
	if (--model->to_stop == 0 && model->stopped != NULL)
		model->stopped(model->stopped_arg);
}

void read_model_stop(struct read_model *model, void (*done)(void *arg), void *arg)
{
	model->stopping = true;
	model->stopped = done;
	model->stopped_arg = arg;
	generations_stop(model->generations);
	moments_stop(model->moments);
	model->to_stop = 1 + (model->live != NULL) + (model->next != NULL);
	if (model->functions != NULL)
		functions_stop(model->functions);
	if (model->live != NULL)
		generation_stop(model->live, one_stopped, model);
	if (model->next != NULL)
		generation_stop(model->next, one_stopped, model);
	rpc_server_shutdown(model->server, STOP_GRACE_MS, one_stopped, model);
}

void read_model_destroy(struct read_model *model)
{
	if (model == NULL)
		return;
	model->stopping = true;
	rpc_server_destroy(model->server);
	rpc_channel_destroy(model->message_queue);
	rpc_channel_destroy(model->event_store);
	redis_destroy(model->redis); /* ends what the stores have under way */
	moments_destroy(model->moments);
	generations_destroy(model->generations);
	functions_destroy(model->functions); /* its jobs have all ended by now */
	free(model);
}
