/*
 * Usage: uring PORT LOG. One thread, no system call for accept, receive and send but io_uring_enter(): a multishot
 * accept makes all connections (Linux 5.19, liburing 2.2).
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACCEPT, RECEIVE, SEND };

struct connection {
	int what, fd, length;
	char data[4096];
};

static struct io_uring ring;
static struct connection listening = {.what = ACCEPT};
static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static void accept_all(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_multishot_accept(sqe, listening.fd, NULL, NULL, 0);
	io_uring_sqe_set_data(sqe, &listening);
}

static void receive(struct connection *c)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	c->what = RECEIVE;
	io_uring_prep_recv(sqe, c->fd, c->data + c->length, sizeof(c->data) - 1 - c->length, 0);
	io_uring_sqe_set_data(sqe, c);
}

static void respond(struct connection *c)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	c->what = SEND;
	io_uring_prep_send(sqe, c->fd, answer, sizeof(answer) - 1, 0);
	io_uring_sqe_set_data(sqe, c);
}

static void accepted(int fd, int more)
{
	struct connection *fresh = calloc(1, sizeof(*fresh));

	if (fd < 0 || !fresh)
		exit(1);
	fresh->fd = fd;
	receive(fresh);
	if (!more)
		accept_all();
}

static void received(struct connection *c, int n, int log)
{
	char line[16];

	if (n <= 0) {
		close(c->fd);
		free(c);
		return;
	}
	c->length += n;
	c->data[c->length] = 0;
	if (!strstr(c->data, "\r\n\r\n")) {
		receive(c);
		return;
	}
	if (write(log, line, sprintf(line, "%d\n", getpid())) < 0)
		exit(1);
	respond(c);
}

int main(int, char **argv)
{
	struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[1]))};
	int log = open(argv[2], O_WRONLY | O_APPEND), one = 1;

	listening.fd = socket(AF_INET6, SOCK_STREAM, 0);
	setsockopt(listening.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listening.fd, (struct sockaddr *)&here, sizeof(here)) || listen(listening.fd, 64) ||
	    io_uring_queue_init(256, &ring, 0))
		return 1;
	accept_all();
	for (;;) {
		struct io_uring_cqe *cqe;
		struct connection *c;

		io_uring_submit_and_wait(&ring, 1);
		if (io_uring_peek_cqe(&ring, &cqe))
			continue;
		c = io_uring_cqe_get_data(cqe);
		if (c->what == ACCEPT) {
			accepted(cqe->res, cqe->flags & IORING_CQE_F_MORE);
		} else if (c->what == RECEIVE) {
			received(c, cqe->res, log);
		} else {
			c->length = 0;
			receive(c);
		}
		io_uring_cqe_seen(&ring, cqe);
	}
}
