#include "base/redis_internal.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { SEEDS_MAX = 16, REPLICAS_MAX = 16 };

void redis_address_free(struct redis_address *address)
{
	free(address->host);
	free(address->path);
	free(address->user);
	free(address->password);
	*address = (struct redis_address){ 0 };
}

static char *copied(const char *text)
{
	char *copy = text != NULL ? strdup(text) : NULL;
	ASSERT(text == NULL || copy != NULL);
	return copy;
}

/* A copy with %41 read as "A"; NULL when a % is not followed by two hex digits. */
static char *decoded(const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	ASSERT(copy != NULL);
	size_t out = 0;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '%') {
			if (i + 2 >= len || !isxdigit((unsigned char)text[i + 1]) ||
			    !isxdigit((unsigned char)text[i + 2])) {
				free(copy);
				return NULL;
			}
			char hex[3] = { text[i + 1], text[i + 2], '\0' };
			c = (char)strtol(hex, NULL, 16);
			i += 2;
		}
		copy[out++] = c;
	}
	copy[out] = '\0';
	return copy;
}

static bool parse_number(const char *text, size_t len, int max, int *out)
{
	if (len == 0 || len > 5)
		return false;
	int number = 0;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		number = number * 10 + (text[i] - '0');
	}
	if (number > max)
		return false;
	*out = number;
	return true;
}

static bool parse_unix(const char *rest, struct redis_address *out)
{
	size_t len = strcspn(rest, "?");
	if (len == 0)
		return false;
	out->path = decoded(rest, len);
	if (out->path == NULL)
		return false;
	if (rest[len] == '\0')
		return true;
	const char *query = rest + len + 1;
	return strncmp(query, "db=", 3) == 0 &&
	       parse_number(query + 3, strlen(query + 3), 99999, &out->database);
}

/* [[user]:password@] */
static bool parse_login(const char *login, size_t len, struct redis_address *out)
{
	const char *colon = memchr(login, ':', len);
	size_t user_len = colon == NULL ? 0 : (size_t)(colon - login);
	const char *password = colon == NULL ? login : colon + 1;
	if (user_len > 0 && (out->user = decoded(login, user_len)) == NULL)
		return false;
	out->password = decoded(password, len - (size_t)(password - login));
	return out->password != NULL;
}

static bool parse_tcp(const char *rest, struct redis_address *out)
{
	const char *at = strrchr(rest, '@');
	if (at != NULL) {
		if (!parse_login(rest, (size_t)(at - rest), out))
			return false;
		rest = at + 1;
	}
	const char *slash = strchr(rest, '/');
	size_t len = slash == NULL ? strlen(rest) : (size_t)(slash - rest);
	if (slash != NULL && slash[1] != '\0' &&
	    !parse_number(slash + 1, strlen(slash + 1), 99999, &out->database))
		return false;
	size_t host_len = strcspn(rest, ":/");
	const char *host = rest;
	const char *after = rest + host_len;
	if (rest[0] == '[') { /* [::1] */
		const char *end = memchr(rest, ']', len);
		if (end == NULL)
			return false;
		host = rest + 1;
		host_len = (size_t)(end - host);
		after = end + 1;
	}
	if (host_len == 0)
		return false;
	out->host = strndup(host, host_len);
	ASSERT(out->host != NULL);
	out->port = 6379;
	size_t used = (size_t)(after - rest);
	return used == len ||
	       (*after == ':' && parse_number(after + 1, len - used - 1, 65535, &out->port));
}

static bool parse_one(const char *url, struct redis_address *out)
{
	return strncmp(url, "unix://", 7) == 0    ? parse_unix(url + 7, out)
	       : strncmp(url, "redis://", 8) == 0 ? parse_tcp(url + 8, out)
	                                          : parse_tcp(url, out);
}

static bool is_url(const char *text)
{
	return strncmp(text, "unix://", 7) == 0 || strncmp(text, "redis://", 8) == 0;
}

/* Takes the "/name" off the end of a sentinel URL's rest. */
static bool split_master_name(char *rest, struct redis_seeds *seeds)
{
	char *slash = strchr(rest, '/');
	if (slash == NULL || slash[1] == '\0' || strchr(slash + 1, '/') != NULL)
		return false;
	seeds->master_name = decoded(slash + 1, strlen(slash + 1));
	*slash = '\0';
	return seeds->master_name != NULL;
}

/* Takes "?replicas=N" off the end. */
static bool split_replicas(char *urls, struct redis_seeds *seeds)
{
	static const char name[] = "?replicas=";
	char *query = strstr(urls, name);
	if (query == NULL)
		return true;
	const char *number = query + sizeof(name) - 1;
	*query = '\0';
	return parse_number(number, strlen(number), REPLICAS_MAX, &seeds->replicas) &&
	       seeds->replicas > 0;
}

static bool parse_list(char *urls, struct redis_seeds *seeds)
{
	static const char sentinel[] = "sentinel://";
	char *rest = urls, *item;
	if (!split_replicas(urls, seeds))
		return false;
	if (strncmp(urls, sentinel, sizeof(sentinel) - 1) == 0) {
		rest += sizeof(sentinel) - 1;
		if (!split_master_name(rest, seeds))
			return false;
	} else if (!is_url(urls)) {
		return false;
	}
	while ((item = strsep(&rest, ",")) != NULL) {
		/* "redis://a:1,b:2" is as good as "redis://a:1,redis://b:2" */
		if (seeds->count == SEEDS_MAX || (seeds->master_name != NULL && is_url(item)) ||
		    !parse_one(item, &seeds->items[seeds->count++]))
			return false;
	}
	/* the login of the first is good for those that name none */
	for (size_t i = 1; i < seeds->count && seeds->items[0].password != NULL; i++) {
		struct redis_address *address = &seeds->items[i];
		if (address->password != NULL || address->path != NULL)
			continue;
		address->password = copied(seeds->items[0].password);
		address->user = copied(seeds->items[0].user);
	}
	return true;
}

bool redis_seeds_parse(const char *urls, struct redis_seeds *out, struct error *err)
{
	struct redis_seeds seeds = { .items = calloc(SEEDS_MAX, sizeof(*seeds.items)) };
	char *copy = strdup(urls);
	ASSERT(seeds.items != NULL && copy != NULL);
	bool ok = parse_list(copy, &seeds);
	free(copy);
	if (!ok) {
		redis_seeds_free(&seeds);
		/* the URL may hold a password: it is not repeated */
		return error_set(err, ERR_INVALID,
		                 "redis: the URL must be redis://[[user]:password@]host:port[/db] "
		                 "(several with commas: a cluster), unix:///path[?db=N] or "
		                 "sentinel://host:port,.../master-name, 16 places at most; and "
		                 "?replicas=N, 1 to 16, at the end");
	}
	for (size_t i = 0; i < seeds.count; i++) {
		const size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
		size_t len = seeds.items[i].path ? strlen(seeds.items[i].path) : 0;
		if (len <= most)
			continue;
		redis_seeds_free(&seeds);
		return error_set(
		    err, ERR_INVALID,
		    "redis: the path of a socket may have %zu bytes, this one has %zu: "
		    "choose a shorter one, or redis://host:port",
		    most, len);
	}
	*out = seeds;
	return true;
}

void redis_seeds_free(struct redis_seeds *seeds)
{
	for (size_t i = 0; i < seeds->count; i++)
		redis_address_free(&seeds->items[i]);
	free(seeds->items);
	free(seeds->master_name);
	*seeds = (struct redis_seeds){ 0 };
}

void redis_address_copy(struct redis_address *address, const struct redis_address *from)
{
	*address = (struct redis_address){ copied(from->host),     from->port,
		                           copied(from->path),     copied(from->user),
		                           copied(from->password), from->database };
}

void redis_address_set(struct redis_address *address, const struct redis_address *from,
                       const char *host, int port)
{
	struct redis_address made = {
		copied(host), port, NULL, copied(from->user), copied(from->password), from->database
	};
	redis_address_free(address);
	*address = made;
}

bool redis_address_connect(const struct redis_address *address, unsigned timeout_ms, int *fd,
                           struct error *err)
{
	struct timeval timeout = { timeout_ms / 1000, (timeout_ms % 1000) * 1000 };
	redisContext *context =
	    address->path != NULL ? redisConnectUnixWithTimeout(address->path, timeout)
	                          : redisConnectWithTimeout(address->host, address->port, timeout);
	ASSERT(context != NULL);
	if (context->err != 0) {
		if (address->path != NULL)
			error_set(err, ERR_UNAVAILABLE, "redis at %s: %s", address->path,
			          context->errstr);
		else
			error_set(err, ERR_UNAVAILABLE, "redis at %s:%d: %s", address->host,
			          address->port, context->errstr);
		redisFree(context);
		return false;
	}
	if (address->path == NULL)
		redisEnableKeepAlive(context);
	*fd = redisFreeKeepFd(context);
	int flags = fcntl(*fd, F_GETFL);
	fcntl(*fd, F_SETFL, flags | O_NONBLOCK);
	fcntl(*fd, F_SETFD, FD_CLOEXEC);
	return true;
}
