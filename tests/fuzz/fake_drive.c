#include "tests/fuzz/fake.h"

enum step {
	STEP_OPEN,
	STEP_MESSAGE,
	STEP_HALF_CLOSE,
	STEP_CANCEL,
	STEP_ANSWER,
	STEP_FAIL,
	STEP_TIMER,
	STEP_DRAINED,
	STEP_EXTRA,
	STEPS
};

static void run_step(struct loop *loop, struct fuzz_input *input,
                     void (*extra)(struct fuzz_input *input))
{
	enum step step = fuzz_byte(input) % STEPS;
	bool chooses = step != STEP_TIMER && step != STEP_EXTRA;
	unsigned which = chooses ? fuzz_byte(input) : 0;
	const uint8_t *bytes = NULL;
	size_t len = 0;
	if (step == STEP_MESSAGE || step == STEP_ANSWER)
		bytes = fuzz_bytes(input, &len);
	switch (step) {
	case STEP_OPEN:
		fake_rpc_open(which, 50U * fuzz_byte(input));
		break;
	case STEP_MESSAGE:
		fake_rpc_message(which, bytes, len);
		break;
	case STEP_HALF_CLOSE:
		fake_rpc_half_close(which);
		break;
	case STEP_CANCEL:
		fake_rpc_cancel(which);
		break;
	case STEP_ANSWER:
		fake_redis_answer(which, bytes, len);
		break;
	case STEP_FAIL:
		fake_redis_fail(which);
		break;
	case STEP_TIMER:
		fake_loop_fire(loop);
		break;
	case STEP_DRAINED:
		fake_rpc_drained(which);
		break;
	case STEP_EXTRA:
		if (extra != NULL)
			extra(input);
		break;
	case STEPS:
		break;
	}
}

void fake_drive(struct loop *loop, const uint8_t *bytes, size_t len,
                void (*extra)(struct fuzz_input *input))
{
	struct fuzz_input input = { bytes, bytes + len };
	fake_loop_turn(loop);
	while (input.at < input.end) {
		run_step(loop, &input, extra);
		fake_loop_turn(loop);
	}
}
