/* olist_numbers.h - the sample of Olist in numbers, for olist_generator.c alone: counts, and values at 33 evenly
 * spaced places of the sorted ones, the least and the greatest among them. */
#ifndef ORDERSHOP_OLIST_NUMBERS_H
#define ORDERSHOP_OLIST_NUMBERS_H

#include "ordershop/olist_csv.h"

enum { PLACES = 33, NUMBERS_YEAR = 2016, NUMBERS_MONTH = 10, NUMBERS_MONTHS = 23 };

/* Orders in each month, from October 2016 on. */
static const uint16_t orders_of_month[NUMBERS_MONTHS] = {
	2, 0, 0, 6, 8, 15, 26, 24, 22, 23, 24, 26, 30, 49, 38, 38, 41, 40, 37, 47, 32, 38, 36,
};
/* From Monday on, and from midnight on. */
static const uint16_t orders_of_weekday[7] = {
	94, 84, 109, 109, 79, 53, 74,
};
static const uint16_t orders_of_hour[24] = {
	13, 5, 3, 2, 2, 1, 2, 8, 16, 31, 31, 54, 28, 52, 36, 37, 54, 46, 26, 32, 33, 26, 31, 33,
};

/* Minor units: of each product, and of each item. */
static const int64_t price_places[PLACES] = {
	599,   1449,  1930,  2232,  2550,  2800,  2999,  3500,  3950,  4130,  4595,
	4999,  5399,  5990,  6000,  6790,  6999,  7887,  8990,  9499,  9999,  10990,
	11552, 12000, 13100, 14800, 15999, 18500, 19998, 24990, 31898, 41900, 269000,
};
static const int64_t freight_places[PLACES] = {
	0,    674,  778,  827,  896,  1096, 1173, 1203, 1269, 1290, 1351,
	1410, 1442, 1510, 1522, 1556, 1605, 1626, 1679, 1753, 1780, 1823,
	1853, 1942, 2003, 2285, 2383, 2577, 2818, 3324, 3800, 5465, 12974,
};

/* Seconds. A few orders were with the carrier before their approval was noted. */
static const int64_t approval_places[PLACES] = {
	0,     487,   547,   601,   645,   673,    697,    733,    767,    811,    854,
	895,   942,   991,   1046,  1139,  1272,   1392,   1845,   2307,   3453,   4632,
	24321, 45974, 62324, 86017, 87546, 101311, 118746, 136074, 153791, 217667, 475121,
};
static const int64_t carrier_places[PLACES] = {
	-293289, 10246,  28868,  40067,  45431,  53260,  60968,  69646,  75102,  80082,  88405,
	95203,   104520, 113773, 125685, 144749, 157675, 178026, 197343, 215991, 236382, 254059,
	265297,  283702, 315445, 337644, 367731, 434331, 464844, 529435, 607444, 879865, 2930352,
};
static const int64_t delivery_places[PLACES] = {
	49650,   87202,   107146,  170624,  182815,  251405,  276287, 335750,  354985,
	379119,  429540,  444383,  467919,  520470,  533745,  590099, 612245,  630514,
	678226,  705232,  761252,  797130,  859592,  941495,  979286, 1065191, 1202760,
	1296935, 1488804, 1684801, 1970035, 2568658, 6967500,
};

/* Orders with so many items of so many products. */
static const struct {
	uint16_t orders, items, products;
} sizes[] = {
	{ 541, 1, 1 }, { 28, 2, 1 }, { 19, 2, 2 }, { 3, 3, 1 }, { 1, 3, 2 },
	{ 1, 3, 3 },   { 2, 4, 1 },  { 1, 4, 4 },  { 2, 5, 1 }, { 1, 5, 3 },
	{ 1, 6, 1 },   { 1, 6, 3 },  { 1, 6, 5 },
};

/* Orders that were left in a state. */
static const struct {
	uint16_t orders;
	enum olist_status status;
	bool carrier, delivered; /* what is known of it, beside the approval */
} ends[] = {
	{ 588, OLIST_DELIVERED, true, true }, { 8, OLIST_SHIPPED, true, false },
	{ 2, OLIST_INVOICED, false, false },  { 2, OLIST_PROCESSING, false, false },
	{ 1, OLIST_CANCELED, false, false },  { 1, OLIST_CANCELED, true, false },
};

/* So many orders of so many found a product at another price than the one before. */
enum { PRICE_CHANGES = 19, PRICE_ORDERS = 602 };

#endif
