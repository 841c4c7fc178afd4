"""The GraphQL documents of the Vendure driver, for the shop-api and the admin-api."""

from __future__ import annotations

_ORDER = "__typename ... on Order { id code state totalWithTax } ... on ErrorResult { errorCode message }"
_PLACED = (
    "__typename ... on Order { id code state totalWithTax "
    "lines { quantity unitPriceWithTax productVariant { sku } } } ... on ErrorResult { errorCode message }"
)
_MOVED = (
    "__typename ... on Order { id code state } "
    "... on OrderStateTransitionError { errorCode message transitionError }"
)

# ---- shop-api

CATALOGUE = """query ($skip: Int!, $take: Int!) {
  search(input: {groupByProduct: false, skip: $skip, take: $take}) {
    totalItems items { sku slug productVariantId productName } } }"""
FILLED_COLLECTIONS = """query { search(input: {groupByProduct: true, take: 1}) {
  collections { count collection { slug } } } }"""
COLLECTIONS = "query { collections { items { slug name } } }"
SEARCH = """query ($input: SearchInput!) { search(input: $input) { totalItems items {
  sku slug productName productVariantId inStock
  priceWithTax { ... on SinglePrice { value } ... on PriceRange { min max } } } } }"""
PRODUCT = """query ($slug: String!) { product(slug: $slug) {
  name description variants { id sku name stockLevel priceWithTax currencyCode } } }"""
ADD_ITEM = f"""mutation ($variant: ID!, $quantity: Int!) {{
  addItemToOrder(productVariantId: $variant, quantity: $quantity) {{ {_ORDER} }} }}"""
BASKET = """query { activeOrder { code state totalQuantity totalWithTax
  lines { quantity unitPriceWithTax productVariant { sku name } } } }"""
SET_CUSTOMER = f"""mutation ($customer: CreateCustomerInput!) {{
  setCustomerForOrder(input: $customer) {{ {_ORDER} }} }}"""
CHECKOUT_CHOICES = {
    "eligibleShippingMethods": "query { eligibleShippingMethods { id code priceWithTax } }",
    "eligiblePaymentMethods": "query { eligiblePaymentMethods { code isEligible } }",
}
SET_ADDRESS = f"""mutation ($address: CreateAddressInput!) {{
  setOrderShippingAddress(input: $address) {{ {_ORDER} }} }}"""
SET_SHIPPING = f"""mutation ($shipping: [ID!]!) {{
  setOrderShippingMethod(shippingMethodId: $shipping) {{ {_ORDER} }} }}"""
TO_PAYMENT = f'mutation {{ transitionOrderToState(state: "ArrangingPayment") {{ {_MOVED} }} }}'
PAY = f"mutation ($payment: PaymentInput!) {{ addPaymentToOrder(input: $payment) {{ {_PLACED} }} }}"
ORDER_BY_CODE = "query ($code: String!) { orderByCode(code: $code) { code state totalWithTax } }"

REGISTER = """mutation ($person: RegisterCustomerInput!) { registerCustomerAccount(input: $person) {
  __typename ... on ErrorResult { errorCode message } } }"""

# ---- both

SIGN_IN = """mutation ($user: String!, $password: String!) {
  login(username: $user, password: $password) { __typename ... on ErrorResult { errorCode message } } }"""

# ---- admin-api

LEDGER = """query ($since: DateTime!, $skip: Int!, $take: Int!) {
  orders(options: {skip: $skip, take: $take, sort: {id: ASC}, filter: {orderPlacedAt: {after: $since}}}) {
    totalItems items { code state orderPlacedAt totalWithTax shippingAddress { company }
      lines { quantity unitPriceWithTax productVariant { sku } } } } }"""
STOCK = """query ($skip: Int!, $take: Int!) {
  productVariants(options: {skip: $skip, take: $take, sort: {id: ASC}}) {
    totalItems items { sku stockOnHand stockAllocated } } }"""
FEED = """query ($skip: Int!, $take: Int!) {
  productVariants(options: {skip: $skip, take: $take, sort: {id: ASC}}) {
    totalItems items { sku name priceWithTax stockLevel } } }"""
FIND_VARIANT = """query ($sku: String!) {
  productVariants(options: {take: 2, filter: {sku: {eq: $sku}}}) {
    items { id sku stockOnHand taxRateApplied { value } } }
  activeChannel { pricesIncludeTax } }"""
CHANGE_VARIANT = """mutation ($variant: UpdateProductVariantInput!) {
  updateProductVariants(input: [$variant]) { id priceWithTax stockOnHand } }"""
FIND_ORDER = """query ($code: String!) {
  orders(options: {take: 1, filter: {code: {eq: $code}}}) { items { id code state totalWithTax } } }"""
CANCEL = """mutation ($order: ID!) {
  cancelOrder(input: {orderId: $order, cancelShipping: true, reason: "test order"}) {
    __typename ... on Order { id code state } ... on ErrorResult { errorCode message }
    ... on OrderStateTransitionError { transitionError } } }"""
DRAFT = "mutation { createDraftOrder { __typename id code state } }"
DRAFT_ITEM = f"""mutation ($order: ID!, $item: AddItemToDraftOrderInput!) {{
  addItemToDraftOrder(orderId: $order, input: $item) {{ {_ORDER} }} }}"""
DRAFT_CUSTOMER = f"""mutation ($order: ID!, $customer: CreateCustomerInput!) {{
  setCustomerForDraftOrder(orderId: $order, input: $customer) {{ {_ORDER} }} }}"""
DRAFT_ADDRESS = """mutation ($order: ID!, $address: CreateAddressInput!) {
  setDraftOrderShippingAddress(orderId: $order, input: $address) { __typename id code state } }"""
DRAFT_CHOICES = """query ($order: ID!) {
  eligibleShippingMethodsForDraftOrder(orderId: $order) { id code priceWithTax }
  paymentMethods(options: {take: 1, filter: {enabled: {eq: true}}}) { items { code } } }"""
DRAFT_SHIPPING = f"""mutation ($order: ID!, $shipping: ID!) {{
  setDraftOrderShippingMethod(orderId: $order, shippingMethodId: $shipping) {{ {_ORDER} }} }}"""
DRAFT_TO_PAYMENT = f"""mutation ($order: ID!) {{
  transitionOrderToState(id: $order, state: "ArrangingPayment") {{ {_MOVED} }} }}"""
DRAFT_PAY = f"""mutation ($payment: ManualPaymentInput!) {{
  addManualPaymentToOrder(input: $payment) {{ {_PLACED} }} }}"""
