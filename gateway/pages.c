#include "gateway/pages.h"

extern const char web_index[], web_index_end[], web_style[], web_style_end[], web_script[],
    web_script_end[];

static const struct page {
	const char *content_type, *text, *end;
} pages[ROUTE_ACTIONS] = {
	[ROUTE_PAGE] = { "text/html; charset=utf-8", web_index, web_index_end },
	[ROUTE_STYLE] = { "text/css; charset=utf-8", web_style, web_style_end },
	[ROUTE_SCRIPT] = { "text/javascript; charset=utf-8", web_script, web_script_end },
};

enum { PAGE_MAX = 1024 * 1024 };

void page_answer(enum route_action action, struct http_request *request)
{
	const struct page *page = &pages[action];
	struct buffer body;
	buffer_init(&body, PAGE_MAX);
	buffer_append(&body, page->text, (size_t)(page->end - page->text));
	http_answer(request, 200, page->content_type, &body,
	            "Cache-Control: no-cache\r\n"
	            "Content-Security-Policy: default-src 'self'; img-src 'self' data:; "
	            "frame-ancestors 'none'\r\n"
	            "X-Content-Type-Options: nosniff\r\n");
}
