#include "base/http_internal.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

/* A decoded query parameter, kept as long as the request. */
struct http_decoded {
	struct http_decoded *next;
	char text[];
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. False: malformed, or not UTF-8 without NUL. */
static bool percent_decode(char *text, bool plus_is_space)
{
	char *out = text;
	bool plain = true;
	for (const char *in = text; *in != '\0'; in++) {
		char c = *in;
		if (c == '%') {
			int high = hex_digit(in[1]);
			int low = high < 0 ? -1 : hex_digit(in[2]);
			if (low < 0)
				return false;
			c = (char)(high * 16 + low);
			in += 2;
			if (c == '\0')
				return false;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		plain = plain && (unsigned char)c < 0x80;
		*out++ = c;
	}
	*out = '\0';
	return plain || utf8_valid(text, (size_t)(out - text));
}

struct http_request *http_request_create(struct http_server *server, struct MHD_Connection *con,
                                         const char *method, const char *url)
{
	size_t method_len = strlen(method), url_len = strlen(url);
	struct http_request *request = calloc(1, sizeof(*request) + method_len + url_len + 2);
	ASSERT(request != NULL);
	memcpy(request->method, method, method_len);
	char *path = request->method + method_len + 1;
	memcpy(path, url, url_len);
	request->path = path;
	request->server = server;
	request->connection = con;
	buffer_init(&request->body, server->options.body_max);
	if (!percent_decode(path, false)) {
		request->refuse_status = MHD_HTTP_BAD_REQUEST;
		request->refuse_message = "the path is not percent-encoded UTF-8";
	}
	return request;
}

void http_request_free(struct http_request *request)
{
	while (request->decoded != NULL) {
		struct http_decoded *next = request->decoded->next;
		free(request->decoded);
		request->decoded = next;
	}
	buffer_free(&request->body);
	http_answer_free(&request->answer);
	free(request);
}

const char *http_method(const struct http_request *request)
{
	return request->method;
}

const char *http_path(const struct http_request *request)
{
	return request->path;
}

const char *http_query(struct http_request *request, const char *name)
{
	const char *raw;
	size_t raw_len;
	if (MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name,
	                                  strlen(name), &raw, &raw_len) == MHD_NO)
		return NULL;
	if (raw == NULL)
		return "";
	struct http_decoded *decoded = malloc(sizeof(*decoded) + strlen(raw) + 1);
	ASSERT(decoded != NULL);
	strcpy(decoded->text, raw);
	decoded->next = request->decoded;
	request->decoded = decoded;
	if (!percent_decode(decoded->text, true))
		strcpy(decoded->text, raw);
	return decoded->text;
}

static enum MHD_Result take_name(void *arg, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
	(void)kind;
	(void)value;
	*(const char **)arg = name;
	return MHD_NO;
}

const char *http_query_first(struct http_request *request)
{
	const char *name = NULL;
	MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, take_name, &name);
	return name;
}

const char *http_header(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_body(const struct http_request *request, size_t *len)
{
	*len = request->body.len;
	return request->body.bytes != NULL ? request->body.bytes : "";
}
